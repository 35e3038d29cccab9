"""One small network, and one server of it, for all tests of a file; of pages a browser as well."""

import pytest

from tests.explorer import serving as servers
from tests.explorer.browsing import Page, RunServing, chromium


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


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory):
    serving = RunServing(tmp_path_factory.mktemp("explorer") / "run")
    yield serving
    serving.close()


@pytest.fixture
def context(browser):
    opened = browser.new_context(viewport={"width": 1280, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def page(context, server):
    return Page(context, server.address).rest()
