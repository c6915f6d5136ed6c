"""Services whose models answer together."""

import pytest

from tests.support.service import Service

MANY = {"INFERENCE_MAX_CONCURRENT_REQUESTS": "64"}


def up(preset):
    """The command that starts a preset."""
    return ("web.cli", "up", "--preset", preset)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    """Three scripted models in a pipeline, four answers of each at once; they may be killed."""
    environment = {
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_MAX_CONCURRENT_PER_MODEL": "4",
        "INFERENCE_GRACE_S": "0.5",
        **MANY,
    }
    directory = tmp_path_factory.mktemp("scripted")
    with Service(directory, command=up("demo-pipeline"), **environment) as running:
        yield running


@pytest.fixture(scope="session")
def gathered(tmp_path_factory):
    """Three scripted models that answer at once, and are not waited for long."""
    environment = {
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_MAX_CONCURRENT_PER_MODEL": "4",
        "INFERENCE_QUORUM_GRACE_S": "0.5",
        "INFERENCE_MEMBER_TIMEOUT_S": "4",
        "INFERENCE_GRACE_S": "0.5",
        **MANY,
    }
    directory = tmp_path_factory.mktemp("gathered")
    with Service(directory, command=up("demo-ensemble"), **environment) as running:
        yield running
