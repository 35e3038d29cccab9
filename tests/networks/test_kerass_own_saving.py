"""What Keras and Python would copy and save: deepcopy is exact, all else is refused."""

import copy
import pickle

import numpy as np
import pytest
from tensorflow import keras

from tests.networks.common import assert_same, discriminator, generator, output, randomize

pytestmark = pytest.mark.conformance


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
    with pytest.raises(NotImplementedError, match=r"networks\.save\(path"):
        keras.models.save_model(G, str(tmp_path / "x.keras"))  # Keras 3 has opened the file by then
