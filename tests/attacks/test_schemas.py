"""The schema that made every step stand still, asked of the shipped model while another streams."""

import time

import httpx
import pytest

from tests.support.constraints import AMBIGUOUS
from tests.support.front_end import MODEL
from tests.support.honest import Honest
from tests.support.service_fixture import service_fixture
from tests.support.waiting import wait_for

#: The longest such a request may take on a busy machine.
ENDED_WITHIN_S = 60.0
STORY = {
    "model": MODEL,
    "max_tokens": 400,
    "messages": [{"role": "user", "content": "Tell me a long story about the sea."}],
}
ASKED = {
    "model": MODEL,
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "Give me JSON."}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": AMBIGUOUS, "strict": True},
    },
}

service = service_fixture("The shipped model.", INFERENCE_MAX_CONCURRENT_PER_MODEL="4")


@pytest.fixture
def honest(service):
    with Honest(service, body=STORY) as client:
        yield client


def test_the_ambiguous_schema_stops_nobody(service, honest):
    workers = service.worker_pids()
    begun = time.monotonic()
    answer = service.post(ASKED)
    assert time.monotonic() - begun < ENDED_WITHIN_S
    assert answer.status_code in (200, 400, 422), answer.text
    assert service.worker_pids() == workers


def test_the_ambiguous_schema_as_jobs_ends_once(service, honest):
    workers = service.worker_pids()
    jobs = [httpx.post(f"{service.url}/v1/jobs", json=ASKED) for _ in range(3)]
    for job in [answer.json() for answer in jobs if answer.status_code == 202]:
        path = job["status_url"]
        wait_for(lambda p=path: service.get(p).json().get("ended") is not None, ENDED_WITHIN_S)
        assert service.get(path).json()["attempt"] == 1
    assert service.worker_pids() == workers
