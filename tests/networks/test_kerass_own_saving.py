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


def test_kerass_text_of_a_network_is_refused(trio):
    for network in (trio[0], trio[1], trio[2].mapping):
        with pytest.raises(NotImplementedError, match=r"to_json does not .*networks\.save\(path"):
            network.to_json()
        assert network.get_config() == dict(network.options)
        assert network.built is True
