"""Other people's clients, as their users use them: `make test-clients`.

They are in an environment of their own, and so are these tests; the service is run by another
Python, which SERVICE_PYTHON names. Nothing of it is set for them but keys.
"""

import os

import httpx
import pytest

from tests.support import embedding_model
from tests.support.clients import KEY, weather_tool
from tests.support.front_end import MODEL
from tests.support.service_fixture import SCRIPTED, service_fixture
from workers.contract import keys

# LiteLLM's own list of models, not the one on the network, which it would ask for again and again.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
#: A model that embeds: its vectors mean nothing.
EMBEDS = "random-bert"
#: What runs the service.
PYTHON = os.environ["SERVICE_PYTHON"]

real = service_fixture(
    "The shipped model: it says what it likes, so that only shapes and ends can be asserted. "
    "Beside it one that embeds.",
    scope="session",
    python=PYTHON,
    INFERENCE_MODELS_DIR=lambda request: str(request.getfixturevalue("embedding_models")),
    INFERENCE_PRELOAD_MODELS=f"{MODEL},{EMBEDS}",
    INFERENCE_HOST="127.0.0.1",
    INFERENCE_API_KEYS=KEY,
)


def _add_slow_key(service):
    """Make a key that may send one request a minute."""
    service.slow_key = service.run("keys", "add", "slow", "--per-minute", "1").stdout.strip()


scripted = service_fixture(
    "The scripted engine: a model that calls tools by itself, and answers after them.",
    scope="session",
    python=PYTHON,
    after_start=_add_slow_key,
    INFERENCE_HOST="127.0.0.1",
    INFERENCE_API_KEYS=KEY,
    **SCRIPTED,
)


@pytest.fixture(scope="session")
def embedding_models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    embedding_model.write(directory / f"{EMBEDS}.gguf")
    return directory


@pytest.fixture
def embeds(real):
    """The model that embeds."""
    return EMBEDS


def pytest_configure(config):
    """Warnings of the clients and of what they need are theirs."""
    config.addinivalue_line("filterwarnings", "ignore")


def pytest_collection_modifyitems(items):
    """The first test of a client pays for its import and for both services."""
    for item in items:
        item.add_marker(pytest.mark.timeout(240))


@pytest.fixture
def get_weather():
    return weather_tool()


@pytest.fixture
def used_up_key(scripted):
    """A key whose requests of this minute are spent."""
    headers = {"Authorization": f"Bearer {scripted.slow_key}"}
    while httpx.get(f"{scripted.api_url}/models", headers=headers).status_code != 429:
        pass
    return scripted.slow_key


@pytest.fixture
def runs(scripted):
    """Whether the scripted engine answers anybody now."""
    with scripted.redis() as redis:
        yield lambda: redis.exists(keys.running(MODEL)) == 1
