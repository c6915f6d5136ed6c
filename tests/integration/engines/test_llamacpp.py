"""What only an engine with a model and a KV pool does."""

import dataclasses
import json
import logging

import numpy as np
import psutil
import pytest

from tests.integration.engines.conftest import ask, ask_all
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.errors import (
    ContextBudgetExceeded,
    InsufficientMemory,
    ModelLoadFailed,
    ValidationFailed,
)
from workers.contract.job import Message, Priority
from workers.engines.llamacpp.step_times import StepTimes

SYSTEM = Message("system", "You are a guide of a museum of ships, calm and exact. " * 8)
#: What llama.cpp and Python keep of a model that was closed: allocator arenas, not weights or pool.
KEPT_BYTES = 48 * 2**20


def test_a_shared_beginning_is_read_once(real_kit):
    engine = real_kit.load()
    first = real_kit.request(messages=(SYSTEM, Message("user", "Where is the oldest ship?")))
    second = real_kit.request(messages=(SYSTEM, Message("user", "When do you close today?")))
    fresh, reused = ask(engine, first), ask(engine, second)
    assert fresh.usage.cached_tokens == 0
    assert 100 < reused.usage.cached_tokens < reused.usage.prompt_tokens
    real_kit.assert_right(second, reused)


def test_a_conversation_that_goes_on_reads_only_what_is_new(real_kit):
    engine = real_kit.load()
    asked = (SYSTEM, Message("user", "Where is the oldest ship?"))
    first = ask(engine, real_kit.request(messages=asked))
    goes_on = (*asked, Message("assistant", first.text), Message("user", "And the newest?"))
    second_request = real_kit.request(messages=goes_on)
    second = ask(engine, second_request)
    assert second.usage.cached_tokens >= first.usage.prompt_tokens
    real_kit.assert_right(second_request, second)


def test_a_prompt_that_is_known_whole_is_answered_alike(real_kit):
    engine = real_kit.load()
    request = real_kit.request()
    answers = [ask(engine, request) for _ in range(2)]
    for answer in answers:
        real_kit.assert_right(request, answer)
    assert answers[1].usage.cached_tokens == answers[1].usage.prompt_tokens - 1


def test_requests_that_arrive_together_read_their_prompt_once(real_kit):
    engine = real_kit.load()
    messages = (SYSTEM, Message("user", "Where is the oldest ship?"))
    requests = [real_kit.request(messages=messages, max_tokens=8) for _ in range(4)]
    answers = ask_all(engine, requests)
    cached = sorted(answer.usage.cached_tokens for answer in answers)
    assert cached[0] == 0
    assert set(cached[1:]) == {answers[0].usage.prompt_tokens - 1}
    for request, answer in zip(requests, answers, strict=True):
        real_kit.assert_right(request, answer)


def test_what_one_key_asked_does_not_show_to_another(real_kit):
    engine = real_kit.load()
    messages = (SYSTEM, Message("user", "My secret is 4711."))

    def cached(owner):
        request = real_kit.request(messages=messages, owner=owner, max_tokens=2)
        return ask(engine, request).usage.cached_tokens

    assert [cached(owner) for owner in ("a", "b")] == [0, 0]
    assert cached("a") > 100


def test_what_a_deleted_job_left_is_dropped(real_kit):
    engine = real_kit.load()
    messages = (SYSTEM, Message("user", "Forget this."))

    def cached(job):
        request = real_kit.request(messages=messages, job=job, max_tokens=2)
        return ask(engine, request).usage.cached_tokens

    cached("first")
    engine.forget_job("first")
    assert cached("second") == 0
    engine.forget_job("first")
    assert cached("third") > 100


def test_keys_and_values_of_8_bits_take_half_the_memory_and_answer(real_kit):
    engine = real_kit.load(options={"type_k": "q8_0", "type_v": "q8_0"})
    answers = [ask(engine, real_kit.request(max_tokens=8)) for _ in range(2)]
    assert answers[0].usage.completion_tokens == 8
    assert answers[1].usage.cached_tokens == answers[1].usage.prompt_tokens - 1


def test_without_free_cells_answers_wait_and_resume(real_kit, caplog):
    """Four answers of about 90 tokens each in a pool of 224."""
    caplog.set_level(logging.INFO)
    engine = real_kit.load(options={"kv_tokens": 224}, context_length=224)
    requests = [
        real_kit.request(f"number {i}", max_tokens=50, priority=priority)
        for i, priority in enumerate(
            [Priority.HIGH, Priority.NORMAL, Priority.NORMAL, Priority.LOW]
        )
    ]
    answers = ask_all(engine, requests)
    assert any("resumes later" in record.message for record in caplog.records)
    for request, answer in zip(requests, answers, strict=True):
        assert answer.usage.completion_tokens == 50 or answer.reason == "stop"
        real_kit.assert_right(request, answer)


def test_one_answer_may_fill_the_whole_pool(real_kit):
    engine = real_kit.load(options={"kv_tokens": 160}, context_length=4096)
    assert engine.context_length == 160
    answer = ask(engine, real_kit.request(max_tokens=None))
    assert answer.usage.total_tokens == 160


def test_a_context_smaller_than_the_template_itself_refuses_with_both_numbers(real_kit):
    engine = real_kit.load(context_length=16)
    with pytest.raises(ContextBudgetExceeded) as refused:
        ask(engine, real_kit.request(messages=(Message("user", "Hi"),)))
    assert refused.value.details["budget"] == 16
    assert refused.value.details["current_tokens"] > 16


@pytest.fixture
def broken(real_kit, tmp_path):
    whole = real_kit.spec().path.read_bytes()

    def make(kind):
        file = tmp_path / f"{kind}.gguf"
        content = {
            "truncated": whole[: len(whole) // 2],
            "header-only": whole[:64],
            "not-a-gguf": b"<html>not a model</html>" * 100,
            "empty": b"",
            "damaged": whole[:4] + b"\xff" * 60 + whole[64:],
        }
        file.write_bytes(content[kind])
        return file

    return make


@pytest.mark.parametrize("kind", ["truncated", "header-only", "not-a-gguf", "empty", "damaged"])
@pytest.mark.parametrize("requantise", [None, "q8_0"])
def test_a_broken_file_is_named(real_kit, broken, kind, requantise):
    engine, spec = real_kit.make(path=broken(kind), requantise=requantise)
    with pytest.raises(ModelLoadFailed, match=f"{kind}.gguf"):
        engine.load(spec, lambda _fraction: None)


def test_a_pool_that_cannot_fit_is_refused_before_loading(real_kit):
    engine, spec = real_kit.make(options={"kv_tokens": 200_000_000})
    with pytest.raises(InsufficientMemory, match="MB"):
        engine.load(spec, lambda _fraction: None)


def test_a_template_that_raises_is_the_callers_error(real_kit):
    template = "{{ raise_exception('roles must alternate') }}"
    engine = real_kit.load(chat_template=template)
    with pytest.raises(ValidationFailed, match="roles must alternate"):
        ask(engine, real_kit.request())


def test_a_template_that_is_no_template_fails_the_load(real_kit):
    engine, spec = real_kit.make(chat_template="{% for %}")
    with pytest.raises(ModelLoadFailed, match="template"):
        engine.load(spec, lambda _fraction: None)


def test_close_gives_the_memory_back(real_kit):
    real_kit.load().close()  # what is paid once: libraries, the allocator's arenas
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(3):
        engine = real_kit.load(concurrency=16)
        assert process.memory_info().rss - before > engine.memory_bytes / 2
        ask(engine, real_kit.request(max_tokens=2))
        engine.close()
    assert process.memory_info().rss - before < KEPT_BYTES


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer"},
        "kind": {"enum": ["sailor", "guide", None]},
        "ships": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 2},
    },
    "required": ["name", "age", "kind", "ships"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("schema", [None, PERSON], ids=["json_object", "json_schema"])
def test_a_held_answer_parses_or_is_cut_by_its_limit(real_kit, llamacpp, schema, seed):
    """At a temperature where the model would never keep to JSON by itself."""
    form = Constraint(ConstraintKind.JSON_SCHEMA if schema else ConstraintKind.JSON_OBJECT, schema)
    request = real_kit.request(
        constraint=form,
        temperature=1.5,
        top_k=0,
        top_p=1.0,
        min_p=0.0,
        seed=seed,
        max_tokens=160,
    )
    answer = ask(llamacpp, request)
    if answer.reason == "length":
        return
    value = json.loads(answer.text)
    assert isinstance(value, dict)
    if schema:
        assert set(value) == set(PERSON["required"])
        assert isinstance(value["age"], int)
        assert value["kind"] in ("sailor", "guide", None)
        assert len(value["ships"]) <= 2


@pytest.mark.usefixtures("sense")
@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_held_answer_goes_on_from_its_token_ids(real_kit, llamacpp, cut):
    """The grammar is fed with what an earlier attempt produced."""
    sampling = {"constraint": Constraint(ConstraintKind.JSON_SCHEMA, PERSON), "max_tokens": 160}
    whole = ask(llamacpp, real_kit.request(**sampling))
    rest = ask(llamacpp, real_kit.request(**sampling, produced=whole.ids[:cut]))
    assert whole.reason == rest.reason == "stop"
    begun = ask(llamacpp, real_kit.request(**{**sampling, "max_tokens": cut})).text
    assert set(json.loads(begun + rest.text)) == set(PERSON["required"])


def test_held_and_free_answers_run_side_by_side(real_kit, llamacpp):
    free = [real_kit.request(f"number {i}", max_tokens=24) for i in range(3)]
    held = real_kit.request(constraint=Constraint(ConstraintKind.JSON_OBJECT), max_tokens=120)
    *answers, of_held = ask_all(llamacpp, [*free, held])
    for request, answer in zip(free, answers, strict=True):
        real_kit.assert_right(request, answer)
    assert of_held.reason == "length" or isinstance(json.loads(of_held.text), dict)


def test_a_schema_that_makes_no_grammar_is_the_callers_error(real_kit, llamacpp):
    form = Constraint(ConstraintKind.JSON_SCHEMA, {"type": "string", "pattern": "("})
    with pytest.raises(ValidationFailed, match="response_format"):
        ask(llamacpp, real_kit.request(constraint=form))


@pytest.mark.parametrize("seed", [4294967295, -1, -(2**63), 2**63 - 1])
def test_every_seed_repeats_its_answer(real_kit, llamacpp, seed):
    """4294967295 is the seed by which llama.cpp means a fresh one."""
    request = real_kit.request(temperature=1.5, top_k=0, seed=seed, max_tokens=12)
    assert ask(llamacpp, request).ids == ask(llamacpp, request).ids


@pytest.fixture
def rows_are_free(monkeypatch):
    """All that may come is drafted, however slow this machine is."""
    monkeypatch.setattr(StepTimes, "of", lambda times, rows: np.ones(len(rows)))


@pytest.mark.usefixtures("rows_are_free")
def test_drafted_tokens_are_those_of_plain_decoding(real_kit, llamacpp):
    """The first layers alone say the same over and over, which is what is drafted."""
    before = llamacpp.use
    requests = [real_kit.request(f"number {i}", max_tokens=48) for i in range(2)]
    held = real_kit.request(
        constraint=Constraint(ConstraintKind.JSON_OBJECT), repetition_penalty=1.2, max_tokens=48
    )
    *answers, of_held = ask_all(llamacpp, [*requests, held])
    for request, answer in zip(requests, answers, strict=True):
        real_kit.assert_right(request, answer)
        assert len(answer.ids) == 48
    assert of_held.reason == "length" or isinstance(json.loads(of_held.text), dict)
    accepted = llamacpp.use.accepted_tokens - before.accepted_tokens
    assert 0 < accepted <= llamacpp.use.drafted_tokens - before.drafted_tokens


@pytest.mark.usefixtures("rows_are_free")
def test_a_prediction_changes_no_token(real_kit, llamacpp, reference):
    """What of it does not come is taken back from the pool: the rest is decoded without it."""
    length = 32
    answer = ask(llamacpp, real_kit.request("the sky", max_tokens=length))
    for predicted, is_right in [(reference.text(answer.ids), True), ("4711, never. " * 9, False)]:
        request = real_kit.request("the sky", max_tokens=length, prediction=predicted)
        again = ask(llamacpp, request)
        real_kit.assert_right(request, again)
        assert again.usage.completion_tokens == length
        assert (again.usage.accepted_prediction_tokens > 0) is is_right
        assert is_right or again.usage.rejected_prediction_tokens > 0
        rest = ask(llamacpp, dataclasses.replace(request, produced=answer.ids[:8]))
        assert rest.usage.completion_tokens == length


@pytest.mark.usefixtures("rows_are_free")
def test_a_model_of_which_the_options_say_so_drafts_nothing(real_kit):
    engine = real_kit.load(options={"drafts": "off"})
    ask(engine, real_kit.request(max_tokens=48))
    assert engine.use.drafted_tokens == 0
