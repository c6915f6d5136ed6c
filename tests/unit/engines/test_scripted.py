"""The scripted engine: what is its own; what every engine does is in the conformance suite."""

import json
import multiprocessing
import signal
import threading
import time

import pytest

from presets.model import ModelSpec, Reasoning
from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.errors import (
    ContextBudgetExceeded,
    EngineFailed,
    ModelLoadFailed,
    UnsupportedParameter,
)
from workers.contract.errors import ValidationFailed as Refused
from workers.contract.job import Message
from workers.contract.sampling import Sampling
from workers.engines.base import EngineOptions, GenerationRequest
from workers.engines.script import PANGRAM
from workers.engines.scripted import ScriptedEngine


@pytest.fixture
def load(tmp_path):
    """Loads engines with the given options; closes them at the end."""
    engines = []

    def loaded(reasoning=None, **options):
        engine = ScriptedEngine(EngineOptions(concurrency=4, cache_dir=tmp_path))
        engines.append(engine)
        spec = ModelSpec(
            "scripted", None, 100, backend="scripted", reasoning=reasoning, options=options
        )
        engine.load(spec, lambda _fraction: None)
        return engine

    yield loaded
    for engine in engines:
        engine.close()


def ask(content="hello", produced=(), **sampling):
    message = content if isinstance(content, str) else json.dumps({"scripted": content})
    return GenerationRequest("r", (Message("user", message),), Sampling(**sampling), 2, produced)


def deltas(engine, request):
    return list(engine.generate(request, threading.Event()))


def text(answered):
    return "".join(delta.text for delta in answered)


def test_it_says_its_sentence_unasked(load):
    answered = deltas(load(), ask("hello there"))
    assert text(answered) == PANGRAM
    assert answered[-1].finish_reason == "stop"
    assert answered[-1].usage.prompt_tokens == 2
    assert answered[-1].usage.completion_tokens == 9


def test_options_script_every_request_and_a_message_its_own(load):
    engine = load(text="one two", repeat=True)
    assert text(deltas(engine, ask(max_tokens=5))) == "one twoone twoone "
    assert text(deltas(engine, ask({"text": "three", "repeat": False}))) == "three"


@pytest.mark.parametrize("content", ['{"scripted"', '["scripted"]', '{"scripted": 3}', "scripted"])
def test_a_message_that_is_no_script_is_just_a_message(load, content):
    assert text(deltas(load(), ask(content))) == PANGRAM


@pytest.mark.parametrize(
    "script",
    [
        {"textt": "x"},
        {"text": ""},
        {"text": 3},
        {"repeat": 1},
        {"tokens_per_s": 0},
        {"tokens_per_s": "fast"},
        {"fail_after": -1},
        {"fail_after": 1.5},
        {"token_bytes": 0},
        {"prompt_tokens": True},
    ],
)
def test_a_script_nobody_can_follow_is_refused_before_any_delta(load, script):
    with pytest.raises(Refused) as refused:
        load().generate(ask(script), threading.Event())
    assert next(iter(script)) in refused.value.message


def test_pace_and_prefill(load):
    engine = load()
    began = time.perf_counter()
    request = ask({"text": "a b c d e", "tokens_per_s": 100, "prefill_s": 0.1})
    answered = deltas(engine, request)
    assert 0.14 <= time.perf_counter() - began < 0.5
    assert answered[-1].timings.prefill_ms == 100


def test_characters_cut_by_tokens_come_whole(load):
    answered = deltas(load(), ask({"text": "né€🙂", "token_bytes": 1}))
    assert text(answered) == "né€🙂"
    assert all("\ufffd" not in delta.text for delta in answered)
    assert answered[-1].usage.completion_tokens == 10


def test_prompt_length_can_be_said(load):
    with pytest.raises(ContextBudgetExceeded) as refused:
        load().generate(ask({"prompt_tokens": 100}), threading.Event())
    assert refused.value.details["current_tokens"] == 100
    assert refused.value.details["budget"] == 100
    assert deltas(load(), ask({"prompt_tokens": 98}))[-1].finish_reason == "length"


def test_it_fails_after_some_tokens(load):
    answered = []
    with pytest.raises(EngineFailed):
        answered.extend(load().generate(ask({"fail_after": 0}), threading.Event()))
    generation = load().generate(ask({"fail_after": 3}), threading.Event())
    with pytest.raises(EngineFailed):
        answered.extend(generation)
    assert text(answered) == "The quick brown "


def die(tmp_path):
    engine = ScriptedEngine(EngineOptions(concurrency=1, cache_dir=tmp_path))
    engine.load(ModelSpec("scripted", None, 100, backend="scripted"), lambda _fraction: None)
    deltas(engine, ask({"die_after": 2}))


def test_it_dies_after_some_tokens(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=die, args=(tmp_path,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def test_a_hanging_generation_does_not_see_its_cancellation(load):
    engine, cancelled, arrived = load(), threading.Event(), threading.Event()
    answered = []

    def read():
        for delta in engine.generate(ask({"hang_after": 2}), cancelled):
            answered.append(delta)
            if len(answered) == 2:
                arrived.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert arrived.wait(5)
    cancelled.set()
    thread.join(0.3)
    assert thread.is_alive()
    assert len(answered) == 2


def test_loading_takes_its_time_and_tells(tmp_path):
    engine = ScriptedEngine(EngineOptions(concurrency=1, cache_dir=tmp_path))
    progress = []
    began = time.perf_counter()
    spec = ModelSpec("scripted", None, 100, backend="scripted", options={"load_s": 0.1})
    engine.load(spec, progress.append)
    assert time.perf_counter() - began >= 0.1
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


@pytest.mark.parametrize(
    ("options", "words"), [({"load_error": "no weights"}, "no weights"), ({"txt": "x"}, "txt")]
)
def test_loading_fails_on_demand_and_on_a_bad_option(load, options, words):
    with pytest.raises(ModelLoadFailed, match=words):
        load(**options)


def test_200_streams_at_once_are_cheap(load):
    """Each at 20 tokens/s; the process computes for a small part of one core."""
    engine = load()
    request = ask({"repeat": True, "tokens_per_s": 20}, max_tokens=20)
    ended = []
    threads = [
        threading.Thread(target=lambda: ended.append(deltas(engine, request)[-1]))
        for _ in range(200)
    ]
    cpu_before = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [last.usage.completion_tokens for last in ended] == [20] * 200
    assert time.process_time() - cpu_before < 1.0


def test_a_format_holds_for_the_answer_after_the_thoughts(load):
    engine = load(Reasoning("tags", "<think>", "</think>"))
    held = {"constraint": Constraint(ConstraintKind.JSON_OBJECT)}
    for script in (
        {"text": '<think>Well.</think>{"a": 1}'},
        {"text": 'Well.</think>{"a": 1}', "prompt_end": "<think>\n"},
    ):
        answered = deltas(engine, ask(script, **held))
        assert json.loads(text(answered)) == {"a": 1}
        assert "".join(delta.reasoning for delta in answered) == "Well."
    with pytest.raises(UnsupportedParameter, match="does not follow"):
        deltas(engine, ask({"text": "<think>{}</think>Well."}, **held))
