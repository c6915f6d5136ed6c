"""One service for all attacks, with two callers that it knows; no test changes it for the next."""

import pytest

from tests.support.honest import Honest
from tests.support.service import Service

#: The attacker has a key where an attack needs one; the honest client has another.
ATTACKER, HONEST = "attacker-0123456789", "honest-0123456789"
#: Short ones, so that a test sees a deadline pass.
HEAD_TIMEOUT_S, BODY_TIMEOUT_S, SEND_TIMEOUT_S = 2, 4, 2
MAX_SOCKETS, MAX_OPEN, MAX_BODIES_MB, MAX_STORED_MB = 40, 20, 32, 4


def bearer(key):
    """The header that shows a key."""
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="session")
def attacked(tmp_path_factory):
    """A service that listens on loopback, with keys and the scripted engine."""
    environment = {
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_API_KEYS": f"{ATTACKER},{HONEST}",
        "INFERENCE_HOST": "127.0.0.1",
        "INFERENCE_MAX_CONCURRENT_PER_MODEL": "64",
        "INFERENCE_MAX_CONCURRENT_REQUESTS": str(MAX_OPEN),
        "INFERENCE_HEAD_TIMEOUT_S": str(HEAD_TIMEOUT_S),
        "INFERENCE_BODY_TIMEOUT_S": str(BODY_TIMEOUT_S),
        "INFERENCE_SEND_TIMEOUT_S": str(SEND_TIMEOUT_S),
        "INFERENCE_MAX_BODIES_MB": str(MAX_BODIES_MB),
        "INFERENCE_MAX_SOCKETS": str(MAX_SOCKETS),
        "INFERENCE_MAX_STORED_MB_PER_KEY": str(MAX_STORED_MB),
        "INFERENCE_WEBHOOK_SECRET": "a secret of some length",
        "INFERENCE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    with Service(tmp_path_factory.mktemp("attacked"), **environment) as running:
        yield running


@pytest.fixture
def honest(attacked):
    """An honest client streams while the test runs; at its end it must not have noticed."""
    with Honest(attacked, bearer(HONEST)) as client:
        yield client
