"""One small network, and one server of it, for all tests of a file."""

import pytest

from tests.explorer import serving as servers


@pytest.fixture(scope="package")
def network(tmp_path_factory):
    return servers.network_file(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(scope="package")
def scene(network):
    return servers.scene_of(network)


@pytest.fixture(scope="module")
def served(network):
    made = servers.serving(network)
    yield made
    made.close()
