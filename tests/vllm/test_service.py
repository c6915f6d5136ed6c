"""The service on vLLM, over HTTP: an answer, a kill in the middle, an engine that dies."""

import json

import pytest

from tests.support.followers import Followers
from tests.support.front_end import MODEL
from tests.support.service_fixture import service_fixture
from tests.support.waiting import wait_for
from workers.contract.job import Message

PROMPTS = [f"Tell me a long story about {topic}." for topic in ("the sea", "an owl", "a train")]
TOKENS = 64
#: Tokens of an answer that is killed in its middle: it must still run when the slowest of its
#: neighbours has begun to answer, which is the held one.
KILLED_TOKENS = 320
#: Numbers of a held answer: about four tokens each.
NUMBERS = 80
LIST = {
    "type": "array",
    "items": {"type": "integer", "minimum": 100, "maximum": 999},
    "minItems": NUMBERS,
    "maxItems": NUMBERS,
}


service = service_fixture(
    "The converted model on vLLM; it loads for most of a minute.",
    ready_within_s=300,
    INFERENCE_BACKEND="vllm",
    INFERENCE_MODELS_DIR=lambda request: str(request.getfixturevalue("models_dir")),
    INFERENCE_CATALOGUE_DIR=lambda request: str(request.getfixturevalue("catalogue_dir")),
    INFERENCE_MAX_CONCURRENT_PER_MODEL="4",
    # A stream stands still while an engine starts anew, which takes minutes on a busy machine.
    INFERENCE_REQUEST_TIMEOUT="400",
)


def engine_processes(service):
    """vLLM's processes of this service."""
    return [process for process in service.left_over() if process.name().startswith("VLLM::")]


def test_a_completion_from_end_to_end(service, reference):
    answer = service.openai().chat.completions.create(
        **service.ask(PROMPTS[0], temperature=0, max_tokens=TOKENS)
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "length"
    assert answer.usage.completion_tokens == TOKENS
    prompt = reference.prompt([Message("user", PROMPTS[0])])
    assert answer.usage.prompt_tokens == len(prompt)
    assert len(choice.message.content) > 100


def test_the_models_page_tells_of_it(service):
    (entry,) = [e for e in service.get("/v1/models").json()["data"] if e["id"] == MODEL]
    assert entry["status"] == "loaded"
    assert entry["context_length"] == 8192
    assert entry["memory_mb"] > 500


def test_an_answer_that_must_parse(service):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = service.post(service.ask("A number, please.", response_format=form)).json()
    assert isinstance(json.loads(answer["choices"][0]["message"]["content"])["n"], int)


def test_a_reader_that_leaves_frees_its_place(service):
    for _ in range(8):  # twice as many as there are places
        with service.open_stream(service.ask(PROMPTS[0])) as stream:
            stream.await_content()
    answer = service.post(service.ask("Hello.", max_tokens=2))
    assert answer.status_code == 200


@pytest.mark.parametrize("victim", ["the worker alone", "the engine"])
def test_streams_go_on_after_a_kill(service, reference, victim):
    wait_for(service.is_ready, 300, every_s=0.2)
    before = engine_processes(service)
    assert len(before) >= 2
    bodies = [service.ask(prompt, temperature=0, max_tokens=KILLED_TOKENS) for prompt in PROMPTS]
    form = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": LIST}}
    held = service.ask("Numbers, please.", response_format=form, max_tokens=1000)
    streams = Followers(service, [*bodies, held])
    streams.await_text(8, within_s=60)
    engine = next(process for process in before if process.name() == "VLLM::EngineCore")
    worker = engine.parent()  # which vLLM has renamed too
    (engine if victim == "the engine" else worker).kill()
    streams.join()
    *free, of_held = streams.followers
    logged(service, of_held.job_id)
    assert of_held.finish_reason == "stop"
    assert len(json.loads(of_held.text)) == NUMBERS
    for follower, prompt in zip(free, PROMPTS, strict=True):
        ids = logged(service, follower.job_id)
        assert follower.usage["completion_tokens"] == len(ids)
        assert TOKENS < len(ids) <= KILLED_TOKENS
        reference.assert_greedy([Message("user", prompt)], ids)
        assert follower.text == reference.text(ids)
    assert not any(process.is_running() for process in before)
    if victim == "the engine":
        assert "engine process has died" in service.logs()


def logged(service, job_id):
    """The token ids of a job, which two attempts have given."""
    text = service.get(f"/v1/jobs/{job_id}/events").text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    tokens = [event for event in events if event["type"] == "token"]
    assert {event["attempt"] for event in tokens} == {1, 2}
    return [token for event in tokens for token in event["token_ids"]]
