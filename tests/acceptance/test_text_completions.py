"""A caller's own whole prompt: `POST /v1/completions` and `POST /infill`."""

import json

import httpx
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import await_end


def scripted(**script):
    return json.dumps({"scripted": script})


def post(service, body, path="/v1/completions", **options):
    return httpx.post(f"{service.url}{path}", json={"model": MODEL, **body}, timeout=60, **options)


@pytest.fixture(scope="module")
def client(scripted_service):
    with scripted_service.openai() as openai_client:
        yield openai_client


def test_a_text(client):
    answer = client.completions.create(model=MODEL, prompt=scripted(text="one two three"))
    assert answer.id.startswith("cmpl-")
    assert answer.object == "text_completion"
    assert answer.choices[0].text == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is None
    assert answer.usage.completion_tokens == 3
    assert answer.usage.prompt_tokens > 0


def test_an_answer_has_16_tokens_where_no_other_number_is_asked_for(client):
    prompt = scripted(text="word ", repeat=True)
    answer = client.completions.create(model=MODEL, prompt=prompt)
    assert answer.usage.completion_tokens == 16
    assert answer.choices[0].finish_reason == "length"
    none = client.completions.create(model=MODEL, prompt=prompt, max_tokens=0, echo=True)
    assert none.choices[0].text == prompt
    assert none.usage.completion_tokens == 0


def test_each_prompt_has_its_choices_in_order(client):
    prompts = [scripted(text="a"), scripted(text="b", steps={"answer-3": {"text": "c d"}})]
    answer = client.completions.create(model=MODEL, prompt=prompts, n=2)
    assert [(choice.index, choice.text) for choice in answer.choices] == [
        (0, "a"),
        (1, "a"),
        (2, "b"),
        (3, "c d"),
    ]
    assert answer.usage.completion_tokens == 5
    assert answer.usage.prompt_tokens == sum(len(prompt.split()) for prompt in prompts)


def test_token_ids_and_lists_of_them(client):
    one = client.completions.create(model=MODEL, prompt=[0, 1, 2], max_tokens=2, echo=True)
    assert one.choices[0].text == "The quick brown The quick "
    assert one.usage.prompt_tokens == 3
    several = client.completions.create(model=MODEL, prompt=[[0], [1, 2]], max_tokens=1, echo=True)
    assert [choice.text for choice in several.choices] == ["The The ", "quick brown The "]


def test_a_stream_begins_with_the_prompt_that_is_to_be_repeated(client):
    prompt = scripted(text="one two")
    chunks = list(
        client.completions.create(
            model=MODEL,
            prompt=[prompt, prompt],
            echo=True,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    texts, reasons = ["", ""], [None, None]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.text
        reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert texts == [f"{prompt}one two"] * 2
    assert reasons == ["stop", "stop"]
    assert chunks[-1].usage.completion_tokens == 4


def test_a_job_can_carry_a_prompt(scripted_service):
    body = {"prompt": scripted(text="one two"), "echo": True, "priority": 0}
    taken = post(scripted_service, body, "/v1/jobs")
    assert taken.status_code == 202
    ended = await_end(scripted_service, taken.json()["id"])
    assert ended["result"]["object"] == "text_completion"
    assert ended["result"]["choices"][0]["text"] == f"{body['prompt']}one two"


def test_the_terminal_takes_a_prompt_as_it_is(scripted_service):
    prompt = scripted(text="one two")
    watched = scripted_service.run("submit", "--raw", "--watch", "-m", MODEL, prompt)
    assert (watched.returncode, watched.stdout.strip()) == (0, "one two"), watched.stderr


def test_a_gap_is_filled(scripted_service, client):
    prompt = scripted(text="x = 1")
    answer = client.completions.create(model=MODEL, prompt=prompt, suffix="print(x)")
    assert answer.choices[0].text == "x = 1"


def test_an_editor_fills_a_gap_and_names_no_model(scripted_service):
    body = {
        "input_prefix": scripted(text="x = 1\n"),
        "input_suffix": "\nprint(x)",
        "input_extra": [{"filename": "a.py", "text": "y = 2"}],
        "prompt": "",
        "n_predict": 64,
        "samplers": ["top_k", "top_p", "infill"],
        "cache_prompt": True,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 1000,
        "n_indent": 4,
        "top_k": 40,
        "top_p": 0.9,
        "response_fields": ["content"],
        "stream": False,
    }
    answer = httpx.post(f"{scripted_service.url}/infill", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert "samplers" in answer.headers["X-Ignored-Parameters"]
    filled = answer.json()
    assert filled["content"] == "x = 1\n"
    assert filled["stop"] is True
    assert filled["stop_type"] == "eos"
    assert filled["tokens_predicted"] == 3
    assert filled["timings"]["predicted_n"] == 3
    with httpx.stream(
        "POST", f"{scripted_service.url}/infill", json={**body, "stream": True}, timeout=60
    ) as stream:
        parts = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert "".join(part["content"] for part in parts) == "x = 1\n"
    assert [part["stop"] for part in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "prompt"),
        ({"prompt": []}, 422, "prompt"),
        ({"prompt": [[]]}, 422, "prompt"),
        ({"prompt": [1, "a"]}, 422, "prompt"),
        ({"prompt": [1, True]}, 422, "prompt"),
        ({"prompt": [1.5]}, 422, "prompt"),
        ({"prompt": [-1]}, 422, "prompt"),
        ({"prompt": {"text": "a"}}, 422, "prompt"),
        ({"prompt": [32_000]}, 422, "prompt"),
        ({"prompt": ["a"] * 65}, 422, "prompt"),
        ({"prompt": ["a"] * 33, "n": 2}, 422, "n"),
        ({"prompt": ""}, 422, "prompt"),
        ({"prompt": "a", "best_of": 2}, 422, "best_of"),
        ({"prompt": [1], "suffix": "b"}, 422, "suffix"),
        ({"prompt": "a", "messages": []}, 400, "messages"),
        ({"prompt": "a", "orchestration_mode": "debate"}, 422, "orchestration_mode"),
        ({"prompt": "word " * 9000}, 400, "prompt"),
    ],
)
def test_what_is_wrong_with_a_prompt_is_named(scripted_service, body, status, param):
    answer = post(scripted_service, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


def test_the_end_of_a_key_is_its_own(scripted_service):
    """A chat and a text completion never attach to each other's job."""
    key = {"Idempotency-Key": "text-completions"}
    body = {"prompt": scripted(text="one")}
    first, again = (post(scripted_service, body, headers=key) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["choices"][0]["text"] == "one"


def test_the_shipped_model_goes_on_after_a_text(service):
    with service.openai() as client:
        asked = {"model": MODEL, "max_tokens": 6, "temperature": 0}
        answer = client.completions.create(prompt="The capital of France is", **asked)
        assert "Paris" in answer.choices[0].text
        counted = answer.usage.prompt_tokens
        several = client.completions.create(prompt=["The capital of France is"] * 2, **asked)
        assert [choice.text for choice in several.choices] == [answer.choices[0].text] * 2
        marked = "<|im_start|>user\nHi<|im_end|>\n"
        special = client.completions.create(prompt=marked, **asked).usage.prompt_tokens
        text = client.completions.create(
            prompt=marked, extra_body={"parse_special": False}, **asked
        ).usage.prompt_tokens
        assert special < text
        assert 4 <= counted <= 8


def test_the_shipped_model_knows_its_ids_and_no_gaps(service):
    with service.openai() as client:
        echoed = client.completions.create(
            model=MODEL, prompt=[504, 3575], max_tokens=1, echo=True, temperature=0
        )
        assert len(echoed.choices[0].text) > 3
    beyond = post(service, {"prompt": [49_152_000]})
    assert beyond.status_code == 422
    assert "49152000" in beyond.json()["error"]["message"]
    gap = post(service, {"prompt": "a", "suffix": "b"})
    assert gap.status_code == 400
    assert gap.json()["error"]["param"] == "suffix"
    assert MODEL in gap.json()["error"]["message"]


def test_a_model_says_what_it_can(service, scripted_service):
    with service.openai() as client:
        listed = {model.id: model for model in client.models.list()}
        shown = client.models.retrieve(MODEL)
        assert shown == listed[MODEL]
        assert shown.owned_by == "inference-service"
        assert shown.created > 0
        assert "json" in shown.capabilities
        assert "fim" not in shown.capabilities
    assert "fim" in scripted_service.get(f"/v1/models/{MODEL}").json()["capabilities"]
    missing = service.get("/v1/models/someone/something")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "MODEL_NOT_FOUND"
    assert service.get(f"/v1/models/inference:{MODEL}").json()["id"] == MODEL
