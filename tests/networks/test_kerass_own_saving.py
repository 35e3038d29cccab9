"""What Keras and Python would copy and save: deepcopy is exact, all else is refused."""

import copy
import pickle

import keras
import numpy as np
import pytest

from tests.networks.common import assert_same, discriminator, generator, odd_trio, output, randomize

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def trio():
    return odd_trio()


@pytest.mark.parametrize("make", [generator, discriminator])
def test_deepcopy_is_an_exact_copy(make):
    network = randomize(make(label_size=2))
    one, same, facade = copy.deepcopy([network, network, network.runnable])
    assert one is same is facade.network
    assert one is not network
    before = network.arrays()
    assert_same(one.arrays(), before)
    np.testing.assert_array_equal(output(one), output(network))
    one.set_arrays({name: array + 1 for name, array in before.items()})
    assert_same(network.arrays(), before)


def test_kerass_own_saving_is_refused(tmp_path):
    G = generator(resolution=4)
    for action in (
        lambda: G.save(tmp_path / "x.keras"),
        lambda: G.save_weights(tmp_path / "x.weights.h5"),
        lambda: G.load_weights(tmp_path / "x.weights.h5"),
        lambda: G.export(tmp_path / "x"),
        lambda: G.mapping.save(tmp_path / "x.keras"),
        lambda: copy.copy(G),
        lambda: pickle.dumps(G),
        lambda: pickle.dumps(G.runnable),
    ):
        with pytest.raises(NotImplementedError, match=r"networks\.save\(path.*network\.copy\(\)"):
            action()
    assert not list(tmp_path.iterdir())


FUNCTIONS = [
    (module, name, file)
    for module in ("saving", "models")
    for name in ("save_model", "save_weights", "load_weights")
    for file in ("x.keras", "x.h5", "x.weights.h5")
    # What has the name of the other format is Keras's own error.
    if hasattr(getattr(keras, module, None), name)
    and (name == "save_model" or file.endswith(".weights.h5"))
]


# Before it asks the network for anything, Keras 3.
EMPTIED = [("save_model", "x.h5"), ("save_model", "x.weights.h5")]


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(("module", "name", "file"), FUNCTIONS)
def test_kerass_own_functions_are_refused(module, name, file, exists, trio, tmp_path):
    path, function = tmp_path / file, getattr(getattr(keras, module), name)
    if exists or name == "load_weights":
        path.write_bytes(b"before")
    for network in (trio[0], trio[1], trio[2].synthesis):
        with pytest.raises(NotImplementedError, match=r"networks\.save\(path.*network\.copy\(\)"):
            function(network, str(path))
    left = [each.read_bytes() for each in tmp_path.iterdir()]
    assert left in ([], [b"before"])
    if exists and (name, file) not in EMPTIED:
        assert left == [b"before"]


class Own(keras.Model):
    """A user's model, with a network of ours in it."""

    def __init__(self, network):
        super().__init__()
        self.network, self.last = network, keras.layers.Dense(2, kernel_initializer="ones")

    def call(self, z):
        return self.last(keras.layers.Flatten()(self.network(z, noise="fixed")))

    def get_config(self):
        return {}


@pytest.fixture(scope="module")
def models():
    G = generator(resolution=4)
    z = np.zeros([1, G.options["latent_size"]], np.float32)
    made = {
        "own": Own(G),
        "sequential": keras.Sequential(
            [keras.layers.Dense(z.shape[1], kernel_initializer="ones"), G]
        ),
    }
    for model in made.values():
        model(z)
    return made


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("file", ["x.keras", "x.h5", "x.weights.h5"])
@pytest.mark.parametrize("kind", ["own", "sequential"])
def test_a_users_model_with_a_network_in_it_leaves_no_half_file(
    kind, file, exists, models, tmp_path
):
    """Of subclassed models as HDF5 Keras 3 writes the values, for load_weights; Keras 2 nothing."""
    path, model = tmp_path / file, models[kind]
    if exists:
        path.write_bytes(b"before")
    save = model.save_weights if file == "x.weights.h5" else model.save
    if kind == "own" and file == "x.h5" and keras.__version__ >= "3":
        save(str(path))
        model.load_weights(str(path))
        return
    message = r"networks\.save\(path.*network\.copy\(\)"
    if kind == "own" and file == "x.h5":
        message = "HDF5"  # Keras 2's own
    with pytest.raises(NotImplementedError, match=message):
        save(str(path))
    left = [each.read_bytes() for each in tmp_path.iterdir()]
    assert left in ([], [b"before"] if exists else [])


def test_files_of_others_stay_when_keras_is_refused(trio, tmp_path):
    with open(tmp_path / "mine", "wb") as mine, pytest.raises(NotImplementedError):
        keras.saving.save_model(trio[0], str(tmp_path / "x.keras"))
    assert mine.closed
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_kerass_text_of_a_network_is_refused(trio):
    for network in (trio[0], trio[1], trio[2].mapping):
        with pytest.raises(NotImplementedError, match=r"to_json does not .*networks\.save\(path"):
            network.to_json()
        assert network.get_config() == dict(network.options)
        assert network.built is True
