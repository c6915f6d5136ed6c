"""In an environment that has sentence-transformers: `make test-embeddings`."""

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here comes from the hub


def pytest_configure(config):
    """Warnings of PyTorch and what comes with it are theirs."""
    config.addinivalue_line("filterwarnings", "ignore")


def pytest_collection_modifyitems(items):
    """Imports take most of a minute on a small machine."""
    for item in items:
        item.add_marker(pytest.mark.timeout(400))
