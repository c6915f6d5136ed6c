"""A service with a key, and a Prometheus that scrapes it: `make test-seen`."""

import pytest

from tests.support.prometheus import Prometheus
from tests.support.service import UP
from tests.support.service_fixture import MANY, SCRIPTED, service_fixture

KEY = "the-key-of-these-tests"

seen_service = service_fixture(
    "Three scripted models, two answers of each at once.",
    scope="session",
    command=(*UP, "--preset", "demo-ensemble"),
    INFERENCE_HOST="127.0.0.1",
    INFERENCE_API_KEYS=KEY,
    INFERENCE_MAX_CONCURRENT_PER_MODEL="2",
    INFERENCE_WEBHOOK_SECRET="a secret of some length",
    INFERENCE_WEBHOOK_NETWORKS="127.0.0.0/8",
    **SCRIPTED,
    **MANY,
)


@pytest.fixture(scope="session")
def prometheus(seen_service, tmp_path_factory):
    with Prometheus(tmp_path_factory.mktemp("prometheus"), seen_service, KEY) as running:
        yield running
