"""Several choices of one answer, asked for with the official client: `n`."""

import json

import httpx
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import ask, await_end, content, job, read_events, submit

#: Each choice says something of its own.
SCRIPT = {
    "text": "first",
    "prompt_tokens": 7,
    "steps": {"answer-1": {"text": "one two"}, "answer-2": {"text": "three four five"}},
}
TEXTS = ["first", "one two", "three four five"]
QUESTION = [{"role": "user", "content": "Name a colour."}]


def test_a_plain_answer_has_each_choice_at_its_index(scripted_service):
    answer = ask(scripted_service, SCRIPT, n=3)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert [choice["message"]["content"] for choice in answer["choices"]] == TEXTS
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}
    # What all were asked counts once, as OpenAI counts it.
    assert answer["usage"]["prompt_tokens"] == 7
    assert answer["usage"]["completion_tokens"] == 6
    assert answer["orchestration"]["mode"] == "single"
    assert answer["inference_metadata"]["handoff_steps"] == 0


def test_choices_end_each_for_its_own_reason(scripted_service):
    answer = ask(scripted_service, SCRIPT, n=3, max_tokens=3)
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["stop", "stop", "length"]


def test_a_stream_says_by_its_index_which_choice_goes_on(scripted_service):
    body = scripted_service.ask(SCRIPT, n=3)
    with scripted_service.openai() as client:
        stream = client.chat.completions.create(
            **body, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    texts, roles, reasons = [""] * 3, [None] * 3, [None] * 3
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        assert reasons[choice.index] is None
        texts[choice.index] += choice.delta.content or ""
        roles[choice.index] = choice.delta.role or roles[choice.index]
        reasons[choice.index] = choice.finish_reason
    assert texts == TEXTS
    assert roles == ["assistant"] * 3
    assert reasons == ["stop"] * 3
    assert chunks[-1].usage.completion_tokens == 6
    assert chunks[-1].usage.prompt_tokens == 7


def test_a_job_has_all_choices_and_its_events_name_them_by_their_steps(scripted_service):
    job_id = submit(scripted_service, SCRIPT, n=3)["id"]
    ended = await_end(scripted_service, job_id)
    assert [choice["message"]["content"] for choice in ended["result"]["choices"]] == TEXTS
    assert [step["step"] for step in ended["steps"]] == ["answer", "answer-1", "answer-2"]
    events = read_events(scripted_service, job_id)
    said = dict.fromkeys(("answer", "answer-1", "answer-2"), "")
    for _, kind, event in events:
        if kind == "token":
            said[event["step"]] += event["text"]
    assert list(said.values()) == TEXTS


def test_the_terminal_shows_one_choice_after_the_other(scripted_service):
    script = json.dumps({"scripted": SCRIPT})
    options = ("--watch", "--choices", "3")
    watched = scripted_service.run("submit", "-m", MODEL, *options, script)
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.splitlines() == TEXTS
    assert "[choice 2]" in watched.stderr


def test_white_space_is_said_once(scripted_service):
    script = {"text": " \n ", "token_bytes": 1, "steps": {"answer-1": {"text": "word"}}}
    answer = ask(scripted_service, script, n=2)
    assert content(answer) == " \n "


def test_a_choice_that_fails_is_the_failure_of_all(scripted_service):
    script = {
        "text": "goes on",
        "repeat": True,
        "tokens_per_s": 50,
        "steps": {"answer-1": {"fail_after": 2}},
    }
    answer = scripted_service.post(scripted_service.ask(script, n=4))
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "ENGINE_FAILED"


def test_choices_of_one_place_come_in_turn(narrow_service):
    answer = ask(narrow_service, SCRIPT, n=3)
    assert [choice["message"]["content"] for choice in answer["choices"]] == TEXTS


def test_more_choices_than_there_may_be_are_refused(scripted_service):
    for n in (0, 17, 1.5, "2", True):
        answer = scripted_service.post(scripted_service.ask(n=n))
        assert answer.status_code == 422
        assert answer.json()["error"]["param"] == "n"


def test_a_mode_that_makes_one_answer_of_all_refuses_several(scripted_service):
    answer = scripted_service.post(scripted_service.ask(n=2, orchestration_mode="critique"))
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["param"] == "n"
    assert "'critique'" in error["message"]


def test_cancelling_a_job_stops_every_choice(scripted_service):
    script = {"text": "on and on ", "repeat": True, "tokens_per_s": 20}
    job_id = submit(scripted_service, script, n=4)["id"]
    read_events(scripted_service, job_id, most=8)
    scripted_service.delete(f"/v1/jobs/{job_id}")
    ended = await_end(scripted_service, job_id)
    assert ended["state"] == "cancelled"
    assert {step["state"] for step in job(scripted_service, job_id)["steps"]} == {"stopped"}


@pytest.mark.parametrize("streamed", [False, True])
def test_choices_of_a_model_differ(service, streamed):
    """Their seeds do. (What a seed says again depends on the batch, too: docs/ENGINES.md.)"""
    asked = {
        "model": MODEL,
        "messages": QUESTION,
        "n": 3,
        "seed": 11,
        "temperature": 1.2,
        "max_tokens": 12,
        "stream": streamed,
    }
    with service.openai() as client:
        answer = client.chat.completions.create(**asked)
        if streamed:
            texts = [""] * 3
            for choice in (choice for chunk in answer for choice in chunk.choices):
                texts[choice.index] += choice.delta.content or ""
        else:
            texts = [choice.message.content for choice in answer.choices]
    assert all(texts)
    assert len(set(texts)) == 3


def test_choices_read_their_prompt_once(service):
    """What all are asked is read by one of them; the others begin where it ends."""
    text = " ".join(f"The {number}th ship of the harbour is old." for number in range(60))
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"{text} Which is the oldest?"}],
        "n": 4,
        "max_tokens": 4,
    }
    job_id = httpx.post(f"{service.url}/v1/jobs", json=body, timeout=30).json()["id"]
    ended = await_end(service, job_id)
    used = [step["usage"] for step in ended["steps"]]
    (prompt,) = {usage["prompt_tokens"] for usage in used}
    read = sum(prompt - usage["prompt_tokens_details"]["cached_tokens"] for usage in used)
    assert prompt > 500
    assert read < 1.1 * prompt
    assert ended["result"]["usage"]["prompt_tokens"] == prompt
