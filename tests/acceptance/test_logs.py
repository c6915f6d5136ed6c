"""What the logs tell, and what they never do."""

import json

import pytest

from tests.support.front_end import MODEL
from tests.support.service_fixture import SCRIPTED, service_fixture
from tests.support.waiting import wait_for

SECRET = "the-pin-of-my-card-is-0815"


logging_service = service_fixture("Its logs are JSON.", INFERENCE_LOG_FORMAT="json", **SCRIPTED)


def lines(service, name):
    file = service.data_dir / "logs" / f"{name}.log"
    return [json.loads(line) for line in file.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
def answered(logging_service):
    body = logging_service.ask({"text": SECRET})
    answer = logging_service.post(body, headers={"X-Request-ID": "req-4711"})
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"] == "req-4711"
    return answer.json()


@pytest.mark.parametrize("process", ["web", f"worker-{MODEL}"])
def test_a_request_is_found_in_every_process_that_served_it(logging_service, answered, process):
    def told():
        found = lines(logging_service, process)
        return [line for line in found if line.get("job_id") == answered["id"]]

    found = wait_for(told)
    assert {line["request_id"] for line in found} == {"req-4711"}
    assert {line["model"] for line in found} == {MODEL}


def test_no_text_of_a_caller_is_logged(logging_service, answered):
    assert SECRET not in "".join(
        file.read_text() for file in (logging_service.data_dir / "logs").iterdir()
    )


@pytest.mark.parametrize("given", ["x" * 200, "a b", "é"])
def test_an_id_that_could_forge_a_line_is_replaced(logging_service, given):
    answer = logging_service.get("/health", {"X-Request-ID": given.encode()})
    assert answer.headers["X-Request-ID"] != given
    assert len(answer.headers["X-Request-ID"]) == 32
