"""A tiny pair of networks behind the facade."""

import pytest

import networks
from tests.networks.common import (
    discriminator,
    generator,
    randomize,
)


@pytest.fixture(scope="module")
def pair():
    """Gs, D: tiny, with labels. Tests leave them as they were."""
    Gs, D = randomize(generator(label_size=3)), randomize(discriminator(label_size=3), seed=1)
    return networks.runnable(Gs), networks.runnable(D)


@pytest.fixture(autouse=True)
def _as_it_was(request):
    before = {}
    if "pair" in request.fixturenames:
        pair = request.getfixturevalue("pair")
        before = {facade.network: facade.network.arrays() for facade in pair}
    yield
    for network, arrays in before.items():
        network.set_arrays(arrays)
