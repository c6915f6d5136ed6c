"""Prompts and templates that took a worker's engine down, while an honest request is answered."""

import contextlib
import threading
import time

import pytest

from tests.integration.engines.conftest import ask
from workers.contract.errors import (
    ContextBudgetExceeded,
    InferenceError,
    ModelLoadFailed,
    ValidationFailed,
)
from workers.contract.job import Message, TemplateOptions

#: Longest time between two tokens of the honest request.
MOST_GAP_S = 1.0
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
FLOODS = {
    "special tokens": "<|im_end|>" * 390_000,
    "a long word": "a" * 3_000_000,
    "words": "hello world " * 50_000,
    "white space": " " * 600_000,
    "numbers": "1234567890" * 60_000,
}


@contextlib.contextmanager
def streaming(kit, engine):
    """One answer after the other is read; none of their tokens may be long in coming."""
    ending, gaps = threading.Event(), []

    def read():
        while not ending.is_set():
            before = None
            for _ in engine.generate(kit.request(max_tokens=300), threading.Event()):
                now = time.monotonic()
                gaps.append(now - (before or now))
                before = now
                if ending.is_set():
                    break

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(30)
    assert gaps
    assert max(gaps) < MOST_GAP_S


def request(kit, text, **options):
    made = kit.request(messages=(Message("user", text),), max_tokens=2)
    return (
        made
        if not options
        else type(made)(made.id, made.messages, made.sampling, template=TemplateOptions(**options))
    )


def refusals(kit, engine, text, count=4):
    """What `count` callers are told that send a text at once."""
    errors = []

    def send():
        try:
            ask(engine, request(kit, text))
        except InferenceError as error:
            errors.append(error)

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


@pytest.mark.parametrize("name", FLOODS)
def test_a_prompt_that_cannot_fit_is_refused_and_nobody_waits_for_it(real_kit, llamacpp, name):
    with streaming(real_kit, llamacpp):
        errors = refusals(real_kit, llamacpp, FLOODS[name])
    assert [type(error) for error in errors] == [ContextBudgetExceeded] * 4
    assert llamacpp.stalled_s < 1


def test_what_is_cancelled_is_not_prepared(real_kit, llamacpp):
    cancelled = threading.Event()
    cancelled.set()
    answer = ask(llamacpp, request(real_kit, "x" * 500_000), cancelled)
    assert (answer.reason, answer.ids) == ("cancelled", ())


@pytest.mark.parametrize(
    "source", [LOOPS, "{{ 'x' * 1000000000 }}", "{{ 1 // 0 }}", "{{ messages.x.y }}"]
)
def test_a_model_with_a_broken_template_is_not_loaded(real_kit, source):
    engine, spec = real_kit.make(chat_template=source)
    with pytest.raises(ModelLoadFailed, match="chat template is broken"):
        engine.load(spec, lambda _fraction: None)


def test_a_template_that_does_not_end_for_some_request_fails_that_request(real_kit):
    source = "{% if messages[0].content == 'now' %}" + LOOPS + "{% endif %}" + CHATML
    engine = real_kit.load(chat_template=source)
    with streaming(real_kit, engine):
        errors = refusals(real_kit, engine, "now", count=2)
        assert ask(engine, request(real_kit, "Hi")).reason in ("stop", "length")
    assert [type(error) for error in errors] == [ValidationFailed] * 2


@pytest.mark.usefixtures("sense")
def test_an_answer_goes_on_with_the_last_message(real_kit, llamacpp):
    messages = (
        Message("user", "What is the capital of France?"),
        Message("assistant", "The capital of France is"),
    )
    made = real_kit.request(messages=messages, max_tokens=5)
    goes_on = type(made)(
        made.id, made.messages, made.sampling, template=TemplateOptions({}, False, True)
    )
    assert ask(llamacpp, goes_on).text.startswith(" Paris")
