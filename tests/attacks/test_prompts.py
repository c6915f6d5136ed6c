"""Prompts and templates that took a worker down, sent while an honest client streams."""

import json
import struct
import subprocess
import sys
import threading
import time

import httpx
import pytest

from presets.catalogue import SHIPPED, Catalogue
from tests.support.front_end import MODEL
from tests.support.gguf import text as gguf_text
from tests.support.service_fixture import service_fixture
from tests.support.waiting import wait_for

#: Longest time between two pieces of an honest stream.
MOST_GAP_S = 1.0
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
#: Model -> its chat template, in a copy of the shipped model.
TEMPLATES = {
    "loops": LOOPS + "{{ messages[0].content }}",
    "long-text": "{{ 'x' * 1000000000 }}{{ messages[0].content }}",
    "zero": "{{ 1 // 0 }}{{ messages[0].content }}",
    # Nothing is wrong with it until somebody says the word.
    "sleeper": "{% for m in messages %}{% if m.content == 'now' %}" + LOOPS + "{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\n' }}",
}
NESTED = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_text("x") + struct.pack("<I", 9)
#: Model -> a file that is no model.
BROKEN = {
    "nested": NESTED + struct.pack("<IQ", 9, 1) * 1000,
    "endless": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_text("x")
    + struct.pack("<IQ", 8, 2**64 - 1),
    "empty": b"",
}  # fmt: skip


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    shipped = Catalogue.load(None, "llamacpp").get(SHIPPED).path
    for model, template in TEMPLATES.items():
        (directory / model).mkdir()
        command = [sys.executable, "-m", "gguf.scripts.gguf_new_metadata", "--chat-template"]
        subprocess.run(
            [*command, template, shipped, directory / model / f"{model}.gguf"],
            check=True, capture_output=True,
        )  # fmt: skip
    for model, content in BROKEN.items():
        (directory / model).mkdir()
        (directory / model / f"{model}.gguf").write_bytes(content)
    return directory


service = service_fixture(
    "The shipped model, and others that are loaded when they are asked for.",
    INFERENCE_MODELS_DIR=lambda request: str(request.getfixturevalue("models_dir")),
    INFERENCE_PRELOAD_MODELS=MODEL,
    INFERENCE_LOAD_ON_DEMAND="true",
    INFERENCE_MAX_CONCURRENT_PER_MODEL="8",
)


class HonestClient:
    """Streams one answer after the other until it is closed, and notes how long it waited."""

    def __init__(self, service):
        self._service = service
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.gaps, self.errors = [], []

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: len(self.gaps) > 20 or self.errors, 60)
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join(60)
        assert not self.errors
        assert max(self.gaps) < MOST_GAP_S

    def _run(self):
        body = {
            "model": MODEL,
            "stream": True,
            "max_tokens": 300,
            "messages": [{"role": "user", "content": "Tell me a long story about the sea."}],
        }
        try:
            with httpx.Client(base_url=self._service.url, timeout=60) as client:
                while not self._ending.is_set():
                    self._stream(client, body)
        except Exception as error:
            self.errors.append(error)

    def _stream(self, client, body):
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200, answer.read()
            before = None
            for line in answer.iter_lines():
                if not line.startswith("data: {"):
                    continue
                assert "error" not in json.loads(line.removeprefix("data: "))
                now = time.monotonic()
                if before is not None:
                    self.gaps.append(now - before)
                before = now
                if self._ending.is_set():
                    return


def ask(service, content, model=MODEL, *, timeout=60, **fields):
    body = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
    return httpx.post(f"{service.url}/v1/chat/completions", json=body, timeout=timeout)


def at_once(functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


FLOODS = {
    "special tokens": "<|im_end|>" * 390_000,
    "a long word": "a" * 3_000_000,
    "words": "hello world " * 100_000,
    "white space": " " * 1_200_000,
    "numbers": "1234567890" * 100_000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_prompt_that_cannot_fit_is_refused_at_once(service, name):
    began = time.monotonic()
    answers = []
    with HonestClient(service):
        at_once([lambda: answers.append(ask(service, FLOODS[name])) for _ in range(4)])
    assert [answer.status_code for answer in answers] == [400] * 4, answers[0].text[:500]
    for answer in answers:
        error = answer.json()["error"]
        assert error["code"] == "CONTEXT_BUDGET_EXCEEDED"
        assert "maximum context length is 8192 tokens" in error["message"]
    assert time.monotonic() - began < 60


def test_clients_that_leave_at_once_leave_nothing_behind(service):
    def leave():
        with pytest.raises(httpx.TimeoutException):
            ask(service, "<|im_end|>" * 40_000, timeout=httpx.Timeout(5, read=0.05))

    with HonestClient(service):
        at_once([leave] * 4)
        assert ask(service, "Hi", max_tokens=2).status_code == 200


@pytest.mark.parametrize("model", ["loops", "long-text", "zero", *BROKEN])
def test_a_model_that_is_broken_is_failed_with_a_reason_and_harms_nobody(service, model):
    with HonestClient(service):
        answer = ask(service, "Hi", model)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (500, "MODEL_LOAD_FAILED")
    reason = "chat template" if model in TEMPLATES else "GGUF"
    assert reason in error["message"]
    wait_for(lambda: service.get(f"/v1/models/{model}").json()["status"] == "failed")


def test_a_template_that_does_not_end_for_some_request_fails_that_request(service):
    assert ask(service, "Hi", "sleeper", max_tokens=2).status_code == 200
    pids = service.worker_pids("sleeper")
    with HonestClient(service):
        answer = ask(service, "now", "sleeper", max_tokens=2)
        assert (answer.status_code, answer.json()["error"]["details"]["param"]) == (422, "messages")
        assert ask(service, "Hi", "sleeper", max_tokens=2).status_code == 200
    assert service.worker_pids("sleeper") == pids


def test_many_messages_are_held_while_they_are_read(service):
    """As many as the front end lets pass, in a job of their own."""
    messages = [{"role": "user", "content": "a"}] * 4000
    body = {"model": MODEL, "messages": messages, "max_tokens": 2}
    with HonestClient(service):
        job = httpx.post(f"{service.url}/v1/jobs", json=body, timeout=60).json()["id"]
        record = wait_for(lambda: ended(service, job), 60)
    assert record["error"]["code"] == "CONTEXT_BUDGET_EXCEEDED"


def ended(service, job):
    record = service.get(f"/v1/jobs/{job}").json()
    return record if record["state"] in ("completed", "failed") else None
