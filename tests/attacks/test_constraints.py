"""Schemas and grammars that cost more than their masks may, while an honest client streams."""

import json
import threading
import time

import httpx
import pytest

from tests.support.constraints import AMBIGUOUS
from tests.support.service import Service
from tests.support.waiting import wait_for

#: The longest that an honest stream of the real model may stand still, on two cores.
LONGEST_GAP_S = 1.0
#: Its texts can be read in very many ways: each mask is a thousand times an honest one.
COSTLY = 'start: s\ns: s s s | s s | "a"'


@pytest.fixture(scope="module")
def real_service(tmp_path_factory):
    """A service with the shipped model."""
    directory = tmp_path_factory.mktemp("constrained")
    with Service(directory, INFERENCE_BACKEND="llamacpp") as running:
        yield running


class Stream:
    """An honest stream; knows the longest time between two of its pieces."""

    def __init__(self, service):
        self._service = service
        self.begun, self.ended = threading.Event(), threading.Event()
        self.gap_s = 0.0
        self._thread = threading.Thread(target=self._read)

    def __enter__(self):
        self._thread.start()
        assert self.begun.wait(60)
        return self

    def __exit__(self, *_):
        self._thread.join(120)

    def _read(self):
        body = {
            "model": "smollm2-135m",
            "messages": [{"role": "user", "content": "Write a long story of a fox."}],
            "max_tokens": 300,
            "temperature": 0,
            "stream": True,
        }
        address = f"{self._service.url}/v1/chat/completions"
        last = None
        try:
            with httpx.stream("POST", address, json=body, timeout=60) as answer:
                for line in answer.iter_lines():
                    now = time.monotonic()
                    if line.startswith("data: {"):
                        if last is not None:
                            self.gap_s = max(self.gap_s, now - last)
                            self.begun.set()
                        last = now
        finally:
            self.begun.set()
            self.ended.set()


def test_costly_constraints_end_alone(real_service):
    def submit(**constraint):
        body = {
            "model": "smollm2-135m",
            "messages": [{"role": "user", "content": "Go on."}],
            "max_tokens": 150,
            **constraint,
        }
        answer = httpx.post(f"{real_service.url}/v1/jobs", json=body, timeout=30)
        assert answer.status_code == 202, answer.text
        return answer.json()["status_url"]

    def end_of(address):
        shown = httpx.get(f"{real_service.url}{address}").json()
        return shown if shown["state"] in ("completed", "failed") else None

    with Stream(real_service) as honest:
        schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": AMBIGUOUS}}
        ambiguous = submit(response_format=schema)
        costly = submit(guided_grammar=COSTLY)
        ends = [wait_for(lambda a=a: end_of(a), 60) for a in (ambiguous, costly)]
    assert honest.gap_s < LONGEST_GAP_S
    # Nothing stands still: the endless one is cut by its limit, the costly one fails by itself.
    assert ends[0]["state"] == "completed", json.dumps(ends[0])
    assert ends[1]["state"] == "failed", json.dumps(ends[1])
    assert ends[1]["error"]["code"] == "CONSTRAINT_FAILED"
