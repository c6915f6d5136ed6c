"""Everything that can be wrong with a request, in the one error format."""

import json

import openai
import pytest

from tests.support.front_end import MODEL

MESSAGES = [{"role": "user", "content": "hello"}]


def error_of(answer, status, code):
    """The error in a response, checked for its form."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "type", "param", "provider", "details"}
    assert error["code"] == code
    assert error["provider"] == "inference-service"
    assert error["type"] in ("retriable", "non_retriable")
    assert error["param"] == error["details"].get("param")
    return error


@pytest.mark.parametrize("raw", ["", "{", '{"model": }', "\x00"])
def test_malformed_json_is_400(scripted_service, raw):
    answer = scripted_service.post(content=raw, headers={"Content-Type": "application/json"})
    error_of(answer, 400, "MALFORMED_JSON")


@pytest.mark.parametrize("raw", ["[]", '"text"', "3", "null"])
def test_json_that_is_no_object_is_422(scripted_service, raw):
    answer = scripted_service.post(content=raw, headers={"Content-Type": "application/json"})
    error_of(answer, 422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"messages": [*MESSAGES, {"role": "user", "content": None}]}, "messages.1.content"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 99}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"top_p": 2}, "top_p"),
        ({"stop": [1]}, "stop"),
        ({"seed": "x"}, "seed"),
        ({"stream": "yes"}, "stream"),
        ({"priority": 9}, "priority"),
        ({"orchestration_mode": "quarrel"}, "orchestration_mode"),
        ({"stream": True, "stream_options": 3}, "stream_options"),
        ({"frequency_penalty": "x"}, "frequency_penalty"),
        ({"temprature": 0.5}, "temprature"),
    ],
)
def test_a_wrong_field_is_422_and_named(scripted_service, change, param):
    body = {"model": MODEL, "messages": MESSAGES, **change}
    error = error_of(scripted_service.post(body), 422, "VALIDATION_ERROR")
    assert error["details"]["param"] == param
    assert param.rsplit(".", 1)[-1] in error["message"]
    assert error["type"] == "non_retriable"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_404_before_a_stream_starts(scripted_service, stream):
    body = {"model": "smollm2-135n", "messages": MESSAGES, "stream": stream}
    error = error_of(scripted_service.post(body), 404, "MODEL_NOT_FOUND")
    assert error["details"]["suggestion"] == MODEL


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_without_room_is_400_before_a_stream_starts(scripted_service, stream):
    body = scripted_service.ask({"prompt_tokens": 8192}, stream=stream)
    error = error_of(scripted_service.post(body), 400, "CONTEXT_BUDGET_EXCEEDED")
    assert error["details"]["current_tokens"] == 8192
    assert error["details"]["budget"] == 8192


@pytest.mark.parametrize(
    "name",
    ["../smollm2-135m", "/etc/passwd", "smollm2-135m/../x", "..", "inference:..", "a\nb", "%2e"],
)
def test_a_model_name_cannot_leave_the_catalogue(scripted_service, name):
    error_of(scripted_service.post({"model": name, "messages": MESSAGES}), 404, "MODEL_NOT_FOUND")


def test_an_unknown_address_is_404_and_a_wrong_method_405(scripted_service):
    error_of(scripted_service.get("/v1/nothing"), 404, "NOT_FOUND")
    answer = scripted_service.get("/v1/chat/completions")
    error_of(answer, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["Allow"]


def test_what_would_change_the_answer_and_is_not_there_is_refused(scripted_service):
    answer = scripted_service.post(scripted_service.ask("hi", top_a=0.2))
    error_of(answer, 400, "UNSUPPORTED_PARAMETER")


def test_an_engine_that_fails_before_its_first_token_decides_the_status(scripted_service):
    for stream in (False, True):
        body = scripted_service.ask({"fail_after": 0}, stream=stream)
        error_of(scripted_service.post(body), 500, "ENGINE_FAILED")


def test_a_failure_inside_a_stream_is_a_frame_and_the_end_without_done(scripted_service):
    body = scripted_service.ask({"text": "one two three four", "fail_after": 2, "tokens_per_s": 20})
    with scripted_service.open_stream(body) as stream:
        assert stream.answer.status == 200
        events = list(stream.events())
    assert "[DONE]" not in events
    error = json.loads(events[-1])["error"]
    assert error["code"] == "ENGINE_FAILED"
    assert error["provider"] == "inference-service"


def test_the_official_client_raises_its_own_errors(scripted_service):
    with scripted_service.openai() as client:
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nobody", messages=MESSAGES)
        with pytest.raises(openai.UnprocessableEntityError):
            client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=-3)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**scripted_service.ask({"fail_after": 0}))


def test_the_service_still_answers_after_all_that(scripted_service):
    answer = scripted_service.post(scripted_service.ask({"text": "fine"}))
    assert answer.json()["choices"][0]["message"]["content"] == "fine"
