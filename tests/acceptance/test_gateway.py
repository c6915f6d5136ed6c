"""A stand-in for the gateway's client: it does what that client does, no more. docs/GATEWAY.md says
the same in words."""

import json

import httpx
import pytest

from tests.support.front_end import MODEL

#: The gateway gives up after this.
TIMEOUT_S = 120
PREFIXES = ("inference:", "local:")
_WANTED = ("id", "created", "model", "choices")
#: What it reads of `inference_metadata`.
METADATA = (
    "config",
    "orchestration_mode",
    "models_used",
    "handoff_steps",
    "compression_applied",
    "context_utilization",
)


class Gateway:
    """Knows the models of its start, strips its prefix, and skips frames it does not know."""

    def __init__(self, url):
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self.models = [entry["id"] for entry in self._http.get("/v1/models").json()["data"]]
        #: Of the last answer that had it.
        self.metadata = None

    def close(self):
        self._http.close()

    def complete(self, model, turns, **options):
        """A plain answer: its text, or the error's status and code."""
        answer = self._http.post("/v1/chat/completions", json=self._body(model, turns, options))
        if answer.status_code != 200:
            return answer.status_code, answer.json()["error"]["code"]
        self._read_metadata(answer.json())
        return answer.json()["choices"][0]["message"]["content"]

    def stream(self, model, turns, **options):
        """A streamed answer: its pieces, or the error's status and code."""
        body = self._body(model, turns, {**options, "stream": True})
        with self._http.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                answer.read()
                return answer.status_code, answer.json()["error"]["code"]
            return list(self._pieces(answer.iter_lines()))

    def _body(self, model, turns, options):
        for prefix in PREFIXES:
            model = model.removeprefix(prefix)
        nothing = {"name": None, "tool_calls": None, "tool_call_id": None}
        return {"model": model, "messages": [{**nothing, **turn} for turn in turns], **options}

    def _read_metadata(self, answer):
        metadata = answer["inference_metadata"]
        self.metadata = {name: metadata[name] for name in METADATA}

    def _pieces(self, lines):
        for line in lines:
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                return
            frame = json.loads(line.removeprefix("data: "))
            if not all(name in frame for name in _WANTED) or not frame["choices"]:
                continue
            if "inference_metadata" in frame:
                self._read_metadata(frame)
            choice = frame["choices"][0]
            if "index" in choice and "delta" in choice and frame["id"].startswith("chatcmpl-"):
                yield choice["delta"].get("content") or ""
        raise AssertionError("the stream ended without [DONE]")


@pytest.fixture
def gateway(service):
    client = Gateway(service.url)
    yield client
    client.close()


CALL = {"id": "c1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
TURNS = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "What time is it?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "12:00", "tool_call_id": "c1", "name": "time"},
    {"role": "user", "content": "Thank you. Say goodbye."},
]
OPTIONS = {
    "temperature": 0,
    "max_tokens": 12,
    "top_k": 40,
    "min_p": 0.05,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "task_type": "chat",
}


def test_it_finds_the_models(gateway):
    assert MODEL in gateway.models


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
def test_it_reads_an_answer_plain_and_streamed(gateway, prefix):
    plain = gateway.complete(prefix + MODEL, TURNS, **OPTIONS)
    of_plain, gateway.metadata = gateway.metadata, None
    pieces = gateway.stream(prefix + MODEL, TURNS, **OPTIONS)
    assert "".join(pieces) == plain
    assert plain
    assert of_plain == gateway.metadata
    assert of_plain["models_used"] == [MODEL]
    assert 0 < of_plain["context_utilization"] < 1


@pytest.mark.parametrize("stream", [False, True])
def test_what_it_cannot_see_inside_a_stream_comes_before_it(gateway, stream):
    ask = gateway.stream if stream else gateway.complete
    assert ask("inference:nobody", TURNS) == (404, "MODEL_NOT_FOUND")
    long = [{"role": "user", "content": "word " * 9000}]
    assert ask(MODEL, long) == (400, "CONTEXT_BUDGET_EXCEEDED")
