"""What only the vLLM engine does."""

import dataclasses
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from presets.model import Reasoning
from tests.integration.engines.conftest import ask, ask_all
from tests.support.constraints import choice, json_schema, lark, regex
from tests.support.waiting import wait_for
from workers.constraints import grammar
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.errors import (
    ConstraintFailed,
    ModelLoadFailed,
    UnsupportedParameter,
    ValidationFailed,
)
from workers.contract.job import Message

#: vLLM keeps whole blocks of a prompt; on a CPU they have 128 tokens.
SYSTEM = Message("system", "You are a guide of a museum of ships, calm and exact. " * 16)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["old", "new"]}, "minItems": 1, "maxItems": 2},
        "born": {"type": "string", "format": "date"},
        "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/place"}]},
    },
    "required": ["name", "age", "tags", "born", "next"],
    "additionalProperties": False,
    "$defs": {
        "place": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}},
            "additionalProperties": False,
        }
    },
}


def test_a_shared_beginning_is_read_once(kit, engine):
    first = kit.request(messages=(SYSTEM, Message("user", "Where is the oldest ship?")))
    second = kit.request(messages=(SYSTEM, Message("user", "When do you close today?")))
    ask(engine, first)
    reused = ask(engine, second)
    assert 100 < reused.usage.cached_tokens < reused.usage.prompt_tokens
    kit.assert_right(second, reused)


def test_what_one_key_has_sent_does_not_show_to_another(kit, engine):
    secret = Message("system", "The treasure lies under the third lamp of the quay. " * 16)

    def cached(owner):
        made = kit.request(messages=(secret, Message("user", "Where?")), max_tokens=2)
        return ask(engine, dataclasses.replace(made, owner=owner)).usage.cached_tokens

    assert [cached("one"), cached("other"), cached(None)] == [0, 0, 0]
    assert cached("one") > 100
    assert cached(None) > 100


@pytest.mark.parametrize("penalties", [{"frequency_penalty": 1.5}, {"presence_penalty": 1.5}])
@pytest.mark.parametrize("cut", [3, 20])
def test_penalties_count_the_tokens_of_an_earlier_attempt(kit, engine, penalties, cut):
    messages = (Message("user", "Write the word yes a hundred times: yes yes yes yes"),)
    sampling = {"messages": messages, "max_tokens": 32, **penalties}
    whole = ask(engine, kit.request(**sampling))
    rest = ask(engine, kit.request(**sampling, produced=whole.ids[:cut]))
    assert rest.ids == whole.ids[cut:]
    free = ask(engine, kit.request(messages=messages, produced=whole.ids[:cut]))
    assert free.ids != rest.ids


def test_the_end_of_a_turn_that_was_logged_is_the_end(kit, engine):
    messages = (Message("user", "What is 2 + 2? Answer with one number."),)
    whole = ask(engine, kit.request(messages=messages, max_tokens=100))
    assert whole.reason == "stop"
    again = ask(engine, kit.request(messages=messages, max_tokens=100, produced=whole.ids))
    assert (again.reason, again.ids, again.text) == ("stop", (), "")


@pytest.mark.parametrize("seed", range(2))
def test_a_held_answer_parses(kit, engine, seed):
    messages = (Message("user", "Tell me of a person as JSON."),)
    form = Constraint(ConstraintKind.JSON_SCHEMA, PERSON)
    request = kit.request(
        messages=messages, constraint=form, temperature=0.8, seed=seed, max_tokens=200
    )
    answer = ask(engine, request)
    assert answer.reason == "stop"
    answered = json.loads(answer.text)
    assert set(answered) == set(PERSON["properties"])
    assert len(answered["name"]) <= 12
    assert isinstance(answered["age"], int)


def test_held_and_free_answers_run_side_by_side(kit, engine):
    free = [kit.request(f"number {i}", max_tokens=24) for i in range(3)]
    held = kit.request(constraint=Constraint(ConstraintKind.JSON_OBJECT), max_tokens=60)
    *answers, of_held = ask_all(engine, [*free, held])
    for request, answer in zip(free, answers, strict=True):
        kit.assert_right(request, answer)
    assert of_held.text.lstrip()[0] in "{["


@pytest.mark.parametrize(
    ("constraint", "begun"),
    [
        (json_schema(PERSON), '{"name": "Zoe", "a'),
        (regex(r"([a-z]{2,6}, ){4}[a-z]{2,6}\\."), "oak, as"),
        (choice("né à Köln", "né à Paris"), "né"),
        (lark('start: "(" NAME ")"\nNAME: /[A-Z]{3,8}/'), "(AB"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_held_answer_goes_on_in_the_middle(kit, engine, constraint, begun):
    """After tokens that the model would not have chosen: the mask is the one after them."""
    ids = engine._vocabulary.tokenize(begun)
    requests = [
        kit.request(
            f"number {seed}",
            constraint=constraint,
            produced=ids[:cut],
            temperature=0.8,
            seed=seed,
            max_tokens=300,
        )
        for seed, cut in enumerate((1, len(ids) // 2, len(ids)))
    ]
    for request, rest in zip(requests, ask_all(engine, requests), strict=True):
        assert rest.reason == "stop"
        assert rest.ids
        text = engine._vocabulary.text((*request.produced, *rest.ids))
        assert text.endswith(rest.text)
        assert grammar.text_follows(constraint, text), text


def test_a_held_answer_is_the_same_after_a_cut(kit, engine):
    request = {"constraint": json_schema(PERSON), "max_tokens": 200}
    whole = ask(engine, kit.request(**request))
    for cut in (1, len(whole.ids) // 2, len(whole.ids) - 2):
        rest = ask(engine, kit.request(**request, produced=whole.ids[:cut]))
        assert rest.ids == whole.ids[cut:]
        assert rest.usage.completion_tokens == len(whole.ids)


def test_an_answer_whose_masks_cost_too_much_ends_alone(kit, engine):
    costly = kit.request(
        "costs", constraint=lark('start: s\ns: s s s | s s | "a"'), max_tokens=None
    )
    free = [kit.request(f"number {i}", max_tokens=24) for i in range(2)]
    held = kit.request("short", constraint=choice("Lisbon", "Oslo"))
    with ThreadPoolExecutor(1) as thread:
        failing = thread.submit(ask, engine, costly)
        *answers, of_held = ask_all(engine, [*free, held])
        with pytest.raises(ConstraintFailed, match="guided_grammar"):
            failing.result(60)
    for request, answer in zip(free, answers, strict=True):
        kit.assert_right(request, answer)
    assert of_held.text in ("Lisbon", "Oslo")


def test_what_was_produced_against_the_constraint_fails(kit, engine):
    ids = engine._vocabulary.tokenize("Hello")
    with pytest.raises(ConstraintFailed, match="response_format"):
        ask(engine, kit.request(constraint=json_schema(PERSON), produced=ids))


def test_a_schema_that_nothing_holds_is_the_callers_error(kit, engine):
    form = Constraint(ConstraintKind.JSON_SCHEMA, {"type": "array", "x-guidance": {}})
    with pytest.raises(ValidationFailed, match="x-guidance"):
        ask(engine, kit.request(constraint=form))


def test_what_vllm_does_not_do_is_told_by_its_name(kit, engine):
    """The front end lets no such value through; a vLLM that takes less than it lets through."""
    with pytest.raises(UnsupportedParameter, match="presence_penalty") as refused:
        ask(engine, kit.request(presence_penalty=5.0))
    assert "vLLM" in refused.value.message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tensor_paralel_size": 2}, "did you mean tensor_parallel_size"),
        ({"gpu_memory_utilization": 0.5}, "memory_fraction"),
        ({"max_num_seqs": 4}, "concurrency"),
        ({"dtype": "float31"}, "float31"),
    ],
)
def test_a_wrong_option_is_named(kit, options, says):
    engine, spec = kit.make(options=options)
    with pytest.raises(ModelLoadFailed, match=says):
        engine.load(spec, lambda _fraction: None)


def test_a_model_without_a_safetensors_source_says_so(kit):
    engine, spec = kit.make(path=None)
    with pytest.raises(ModelLoadFailed, match="no safetensors source"):
        engine.load(spec, lambda _fraction: None)


def test_a_failure_in_a_process_of_vllms_tells_its_cause(kit, models_dir, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(models_dir / "smollm2-135m", broken)
    weights = broken / "model.safetensors"
    with weights.open("r+b") as file:
        file.truncate(weights.stat().st_size // 2)
    engine, spec = kit.make(path=broken)
    with pytest.raises(ModelLoadFailed, match=r"(?i)safetensor"):
        engine.load(spec, lambda _fraction: None)
    assert own_processes(engine) == []


def test_an_engine_whose_process_dies_says_so_and_keeps_its_callers(kit):
    engine = kit.load()
    deltas = engine.generate(kit.request(max_tokens=None), cancelled := threading.Event())
    next(deltas)
    assert engine.dead is None
    for process in own_processes(engine):
        process.kill()
    wait_for(lambda: engine.dead, 30)
    assert "process has died" in engine.dead
    ended = []
    reader = threading.Thread(target=lambda: ended.extend(deltas), daemon=True)
    reader.start()
    reader.join(1.0)
    assert reader.is_alive()  # no error: the job goes on elsewhere
    cancelled.set()
    reader.join(10)
    assert ended[-1].finish_reason == "cancelled"


def test_closing_leaves_no_process(kit):
    engine = kit.load()
    before = {process.pid for process in own_processes(engine)}
    assert len(before) >= 2
    assert engine.memory_bytes > 500 * 2**20
    engine.close()
    assert not any(psutil.pid_exists(pid) and _lives(pid) for pid in before)


def test_a_model_that_thinks_is_not_held_to_a_format_in_its_thoughts(kit, engine):
    """Its prompt ends with the opening tag, and the first comma closes."""
    plain = ask(engine, kit.request(max_tokens=40))
    thought, comma, content = plain.text.partition(",")
    assert comma
    thinker = kit.load(reasoning=Reasoning("tags", "assistant", ","))
    answer = ask(thinker, kit.request(max_tokens=40))
    assert answer.ids == plain.ids
    assert reasoned(answer) == thought.strip()
    assert answer.text == content.lstrip()
    form = json_schema(PERSON)
    whole = ask(thinker, kit.request(constraint=form, max_tokens=300))
    assert reasoned(whole) == thought.strip()
    assert grammar.text_follows(form, whole.text)
    thoughts = whole.usage.reasoning_tokens
    for cut in (thoughts // 2, thoughts, (thoughts + len(whole.ids)) // 2):
        rest = ask(thinker, kit.request(constraint=form, max_tokens=300, produced=whole.ids[:cut]))
        assert rest.ids == whole.ids[cut:]


def reasoned(answer):
    return "".join(delta.reasoning for delta in answer.deltas)


def own_processes(engine):
    return engine._processes.members()


def _lives(pid):
    return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
