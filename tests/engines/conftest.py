"""llama.cpp with the whole of the shipped model, for what asks for sense."""

import pytest

pytest.register_assert_rewrite(
    "tests.integration.engines.test_conformance",
    "tests.integration.engines.test_hostile_prompts",
    "tests.integration.engines.test_llamacpp",
    "tests.integration.engines.test_masks",
    "tests.integration.engines.test_reasoning",
    "tests.integration.engines.test_sampling",
    "tests.integration.engines.test_tools",
)

from tests.integration.engines.conftest import (  # noqa: E402
    Kit,
    cache_dir,  # noqa: F401
    engine,  # noqa: F401
    kit,  # noqa: F401
    llamacpp,  # noqa: F401
    real_engine,  # noqa: F401
    real_kit,  # noqa: F401
    reference,  # noqa: F401
)
from tests.support import float_model  # noqa: E402


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """What the specs of the engines have of their own."""
    return {"path": float_model.write(tmp_path_factory.mktemp("weights")), "requantise": None}


@pytest.fixture(scope="session")
def shared_kit(cache_dir, reference, weights):  # noqa: F811
    """One for the whole run; its first engine, 16 wide, is shared by the tests."""
    return Kit("llamacpp", cache_dir, reference, weights)


@pytest.fixture
def sense():
    """This model makes some."""
