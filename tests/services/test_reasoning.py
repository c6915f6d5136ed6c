"""A model that thinks, as its callers see it: apart from the answer, on every way out."""

import contextlib
import json
import os
import signal

import httpx
import pytest

from tests.support.service_fixture import SCRIPTED, service_fixture
from tests.support.websocket import Socket

THOUGHT = "The sea is blue today."
ANSWER = "Blue, I would say."
TEXT = f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"
#: Words as the scripted engine counts them: `<think>`, five of the thought, `</think>`.
THOUGHT_TOKENS = 7
SLOW = {"text": TEXT, "tokens_per_s": 8}

MODELS = {
    "thinker": f"options: {{text: {json.dumps(TEXT)}, concurrency: 4}}\n",
    # Its template opens the thought.
    "opened": f"options: {{text: {json.dumps(TEXT[8:])}, prompt_end: {json.dumps('<think>')}}}\n",
}


@pytest.fixture(scope="module")
def own_catalogue(tmp_path_factory):
    """Two models of a user's own, whose marks are in their files."""
    directory = tmp_path_factory.mktemp("thinkers")
    (directory / "models").mkdir()
    for name, script in MODELS.items():
        (directory / "models" / f"{name}.yaml").write_text(
            f"id: {name}\ncontext_length: 512\nreasoning: {{open: <think>, close: </think>}}\n"
            + script
        )
    return directory


service = service_fixture(
    "Two models that think; workers may be killed.",
    INFERENCE_CATALOGUE_DIR=lambda request: str(request.getfixturevalue("own_catalogue")),
    INFERENCE_PRELOAD_MODELS=",".join(MODELS),
    **SCRIPTED,
)


def ask(service, content="What colour?", *, model="thinker", **options):
    return {**service.ask(content, **options), "model": model}


def join(deltas):
    """(content, thought) of the deltas of a stream."""
    return tuple(
        "".join(delta.get(name, "") for delta in deltas)
        for name in ("content", "reasoning_content")
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_plain_answer_has_the_thought_beside_its_content(service, model):
    body = service.post(ask(service, model=model)).json()
    message = body["choices"][0]["message"]
    thought = {"reasoning_content": THOUGHT}
    assert message == {"role": "assistant", **thought, "content": ANSWER, "refusal": None}
    assert body["choices"][0]["finish_reason"] == "stop"
    thought_tokens = THOUGHT_TOKENS - (model == "opened")
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == thought_tokens
    assert body["usage"]["completion_tokens"] == thought_tokens + 4


def test_an_answer_without_a_thought_has_none(service):
    body = service.post(ask(service, {"text": ANSWER})).json()
    message = body["choices"][0]["message"]
    assert message == {"role": "assistant", "content": ANSWER, "refusal": None}
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_an_answer_that_is_cut_while_it_thinks_is_empty_and_says_length(service):
    choice = service.post(ask(service, max_tokens=4)).json()["choices"][0]
    assert choice["message"]["content"] == ""
    assert choice["message"]["reasoning_content"] == "The sea is"
    assert choice["finish_reason"] == "length"


def test_the_official_client_reads_a_stream(service):
    body = ask(service)
    chunks = list(
        service.openai().chat.completions.create(
            model="thinker",
            messages=body["messages"],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == ANSWER
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == THOUGHT
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == THOUGHT_TOKENS


def test_the_headers_go_out_with_the_first_thought(service):
    """Long before the content: a thought may take minutes."""
    script = {"text": "<think>so </think>never", "tokens_per_s": 0.05}
    with service.open_stream(ask(service, script)) as stream:
        events = stream.events()
        assert json.loads(next(events))["choices"][0]["delta"] == {"role": "assistant"}
        assert json.loads(next(events))["choices"][0]["delta"] == {"reasoning_content": "so"}


def test_a_job_keeps_the_thought_apart_in_its_result_and_its_events(service):
    answer = httpx.post(f"{service.url}/v1/jobs", json=ask(service, SLOW), timeout=30)
    job_id = answer.json()["id"]
    stream = service.get(f"/v1/jobs/{job_id}/events").text  # up to its end
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    tokens = [event for event in events if event["type"] == "token"]
    assert "".join(event["text"] for event in tokens) == ANSWER
    assert "".join(event.get("reasoning", "") for event in tokens) == THOUGHT
    assert any("reasoning" not in event for event in tokens)
    job = service.get(f"/v1/jobs/{job_id}").json()
    message = job["result"]["choices"][0]["message"]
    thought = {"reasoning_content": THOUGHT}
    assert message == {"role": "assistant", **thought, "content": ANSWER, "refusal": None}
    (step,) = job["steps"]
    assert step["usage"]["completion_tokens_details"]["reasoning_tokens"] == THOUGHT_TOKENS


def test_a_socket_tells_the_thought_apart(service):
    socket = Socket(service, "/v1/ws/chat")
    socket.say({"type": "chat", **ask(service, SLOW)})
    heard, _ = socket.rest()
    socket.close()
    tokens = [message for message in heard if message["type"] == "token"]
    assert "".join(message["text"] for message in tokens) == ANSWER
    assert "".join(message.get("reasoning", "") for message in tokens) == THOUGHT


def test_a_thought_that_is_sent_back_is_let_pass(service):
    turns = [
        {"role": "user", "content": "What colour?"},
        {"role": "assistant", "reasoning_content": THOUGHT, "content": ANSWER},
        {"role": "user", "content": "And now?"},
    ]
    answer = service.post({"model": "thinker", "messages": turns})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if "ignored" in name.lower()]
    wrong = service.post(
        {"model": "thinker", "messages": [{**turns[1], "reasoning_content": 1}, turns[0]]}
    )
    assert wrong.status_code == 422
    assert "reasoning_content" in wrong.json()["error"]["message"]


def test_a_worker_that_dies_in_thoughts_and_after_them(service):
    """What was thought and said comes once, whole, and on its side."""
    waits_s = (0, 0.75, 1.25, 1.75)
    scripts = [{**SLOW, "tokens_per_s": 4, "prefill_s": wait_s} for wait_s in waits_s]
    with contextlib.ExitStack() as closing:
        streams = [
            closing.enter_context(service.open_stream(ask(service, script))) for script in scripts
        ]
        events = streams[0].events()
        deltas = []
        while not join(deltas)[0]:
            deltas.append(json.loads(next(events))["choices"][0]["delta"])
        (pid,) = service.worker_pids("thinker")
        os.kill(pid, signal.SIGKILL)
        for stream, begun in zip(streams, (deltas, [], [], []), strict=True):
            frames = [json.loads(event) for event in stream.events() if event != "[DONE]"]
            assert not [frame for frame in frames if "error" in frame]
            begun += [frame["choices"][0]["delta"] for frame in frames]
            assert join(begun) == (ANSWER, THOUGHT)


@pytest.mark.parametrize(
    ("option", "thought"), [("--reasoning", f"{THOUGHT}\n\n"), ("--no-reasoning", "")]
)
def test_the_terminal_gets_the_thought_beside_the_answer(service, option, thought):
    script = json.dumps({"scripted": {"text": TEXT}})
    printed = service.run("chat", "-m", "thinker", option, script)
    assert (printed.stdout, printed.stderr) == (f"{ANSWER}\n", thought)
    job_id = service.run("submit", "-m", "thinker", script).stdout.strip()
    watched = service.run("jobs", "watch", option, job_id)
    assert (watched.stdout, watched.stderr) == (f"{ANSWER}\n", thought)
