"""What clients of other servers send and look for: each row was a report about a comparable one."""

import openai
import pytest

from tests.support.front_end import MODEL

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def client(scripted_service):
    with scripted_service.openai() as client:
        yield client


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": 99}, "temperature"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"model": "nobody"}, "model"),
    ],
)
def test_the_official_client_knows_the_wrong_parameter(client, change, param):
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, **change})
    assert refused.value.param == param


def test_an_error_without_a_parameter_has_none(scripted_service):
    error = scripted_service.get("/v1/nothing").json()["error"]
    assert error["param"] is None


@pytest.mark.parametrize("stream", [False, True])
def test_an_overflow_has_the_words_that_clients_know(client, scripted_service, stream):
    body = scripted_service.ask({"prompt_tokens": 9000}, stream=stream)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**body)
    error = refused.value
    assert "This model's maximum context length is 8192 tokens" in error.body["message"]
    assert error.param == "messages"
    # Clients look for OpenAI's code in the text of the exception.
    assert "context_length_exceeded" in str(error)


def test_a_model_says_when_it_was_created(service):
    with service.openai() as client:
        for model in (client.models.list().data[0], client.models.retrieve(MODEL)):
            assert model.created > 1_000_000_000
            assert model.owned_by == "inference-service"


def test_a_model_without_a_file_was_never_created(client):
    assert client.models.retrieve(MODEL).created == 0


def test_an_answer_has_the_fields_that_are_null(scripted_service):
    (choice,) = scripted_service.post(scripted_service.ask("hi")).json()["choices"]
    assert (choice["logprobs"], choice["message"]["refusal"]) == (None, None)


def test_chunks_have_logprobs_too(client, scripted_service):
    chunks = list(client.chat.completions.create(**scripted_service.ask("hi", stream=True)))
    assert all("logprobs" in chunk.choices[0].model_fields_set for chunk in chunks)


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("stream", [False, True])
def test_a_limit_inside_a_character_leaves_no_part_of_it(scripted_service, most, stream):
    asked = {"text": "a🙂é", "token_bytes": 1}
    body = scripted_service.ask(asked, max_tokens=most, stream=stream)
    if stream:
        with scripted_service.open_stream(body) as stream_:
            text = "".join(stream_.contents())
    else:
        text = scripted_service.post(body).json()["choices"][0]["message"]["content"]
    assert text == ("a" if most < 5 else "a🙂")


@pytest.mark.parametrize("seed", [4294967295, -1])
def test_these_seeds_repeat(service, seed):
    body = service.ask("Say something.", temperature=1.5, top_k=0, seed=seed, max_tokens=12)
    texts = {service.post(body).json()["choices"][0]["message"]["content"] for _ in range(3)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_length", 5),
        ("max_new_tokens", 5),
        ("top_a", 0.2),
        ("ban_eos_token", True),
        ("rep_pen", 1.2),
        ("options", {"num_ctx": 2048}),
        ("think", False),
    ],
)
def test_what_would_change_the_answer_is_refused_by_its_name(scripted_service, name, value):
    answer = scripted_service.post(scripted_service.ask("hi", **{name: value}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UNSUPPORTED_PARAMETER")
    assert name in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == name


def test_what_changes_nothing_is_named(scripted_service):
    body = scripted_service.ask(
        "hi", models=["a", "b"], keep_alive="5m", num_ctx=2048, n=1, repetition_penalty=1.0
    )
    answer = scripted_service.post(body)
    assert answer.status_code == 200
    assert answer.headers["X-Ignored-Parameters"] == "models, keep_alive, num_ctx"
