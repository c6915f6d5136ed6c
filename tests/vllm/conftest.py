"""The vLLM engine under test, in an environment that has vLLM: `make test-vllm`."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here comes from the hub
pytest.register_assert_rewrite(
    "tests.integration.engines.test_conformance",
    "tests.integration.engines.test_sampling",
    "tests.integration.engines.test_tools",
)

from tests.integration.engines.conftest import Kit, cache_dir, engine, kit  # noqa: E402, F401
from tests.support.vllm_reference import Reference  # noqa: E402
from tests.vllm.convert import convert  # noqa: E402

#: Where the converted model is kept; `make test-vllm` has made it there.
MODELS_DIR = Path(os.environ.get("VLLM_TEST_MODELS", ".venv-vllm/models")).resolve()
#: In 16 bits the shapes of batches move a logit by more than a near tie. Compiling takes longer
#: than it gives in a test.
OPTIONS = {"dtype": "float32", "enforce_eager": True}


def pytest_configure(config):
    """Warnings of vLLM and what it needs are theirs."""
    config.addinivalue_line("filterwarnings", "ignore")


def pytest_collection_modifyitems(items):
    """Loading takes most of a minute on a small machine."""
    for item in items:
        item.add_marker(pytest.mark.timeout(700))


@pytest.fixture(scope="session")
def models_dir():
    convert(MODELS_DIR)
    return MODELS_DIR


@pytest.fixture(scope="session")
def reference(models_dir):
    return Reference(convert(models_dir))


@pytest.fixture(scope="session")
def shared_kit(cache_dir, reference, models_dir):  # noqa: F811
    """One for the whole run; its first engine, 16 wide, is shared by the tests."""
    settings = {"options": OPTIONS, "hf": None}
    return Kit("vllm", cache_dir, reference, settings, models_dir)


@pytest.fixture(scope="session")
def real_engine(engine):  # noqa: F811
    return engine


@pytest.fixture
def real_kit(kit):  # noqa: F811
    return kit


@pytest.fixture(scope="session")
def catalogue_dir(tmp_path_factory):
    """A user's catalogue that gives the shipped model the options of these tests."""
    directory = tmp_path_factory.mktemp("catalogue")
    (directory / "models").mkdir()
    options = "".join(f"  {name}: {str(value).lower()}\n" for name, value in OPTIONS.items())
    (directory / "models" / "smollm2-135m.yaml").write_text(
        f"id: smollm2-135m\ncontext_length: 8192\noptions:\n{options}"
    )
    return directory


@pytest.fixture
def sense():
    """This model makes some."""
