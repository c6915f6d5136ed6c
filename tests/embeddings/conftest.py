"""In an environment that has sentence-transformers: `make test-embeddings`."""

import os

import pytest

from presets.catalogue import Catalogue
from workers.engines import registry
from workers.engines.base import EngineOptions

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here comes from the hub


def pytest_configure(config):
    """Warnings of PyTorch and what comes with it are theirs."""
    config.addinivalue_line("filterwarnings", "ignore")


def pytest_collection_modifyitems(items):
    """Imports take most of a minute on a small machine."""
    for item in items:
        item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def spec():
    return Catalogue.load(None, "llamacpp").get("all-minilm-l6-v2")


@pytest.fixture(scope="session")
def engine(spec, tmp_path_factory):
    options = EngineOptions(32, tmp_path_factory.mktemp("cache"), threads=1)
    engine = registry.create_embedding(spec.backend, options)
    engine.load(spec, lambda _: None)
    yield engine
    engine.close()
