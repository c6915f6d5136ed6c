"""A caller's own whole prompt on every engine that is at hand."""

import dataclasses
import threading

import pytest

from tests.integration.engines.conftest import ask
from workers.contract.errors import (
    ContextBudgetExceeded,
    UnsupportedParameter,
    ValidationFailed,
)
from workers.contract.prompt import Prompt


def asking(kit, prompt, **options):
    request = kit.request(**options)
    return dataclasses.replace(request, messages=(), prompt=prompt)


def test_a_text_is_read_as_it_is(kit, engine):
    answer = ask(engine, asking(kit, Prompt("One two three four"), max_tokens=4))
    assert answer.usage.completion_tokens == len(answer.ids) == 4
    # No template stands around it.
    assert answer.usage.prompt_tokens <= 6


def test_ids_are_read_as_they_are(kit, engine):
    answer = ask(engine, asking(kit, Prompt(token_ids=(5, 6, 7)), max_tokens=2))
    assert answer.usage.prompt_tokens == 3
    assert engine.prompt_text(Prompt(token_ids=(5, 6, 7)))
    assert engine.prompt_text(Prompt("as it is")) == "as it is"


def test_no_tokens_is_no_answer(kit, engine):
    answer = ask(engine, asking(kit, Prompt("One"), max_tokens=0))
    assert (answer.ids, answer.reason) == ((), "length")


@pytest.mark.parametrize(
    ("prompt", "error", "param"),
    [
        (Prompt(token_ids=(1, 2**31 - 1)), ValidationFailed, "prompt"),
        (Prompt(token_ids=(1,) * 200_000), ContextBudgetExceeded, "prompt"),
        (Prompt("word " * 200_000), ContextBudgetExceeded, "prompt"),
    ],
)
def test_what_cannot_be_read_is_refused_before_any_delta(kit, engine, prompt, error, param):
    with pytest.raises(error) as refused:
        engine.generate(asking(kit, prompt), threading.Event())
    assert refused.value.details["param"] == param


def test_special_tokens_count_unless_they_are_text(real_kit, real_engine):
    marked = "<|im_start|>user\nHi<|im_end|>\n"
    special, text = (
        ask(real_engine, asking(real_kit, Prompt(marked, parse_special=parse), max_tokens=1))
        for parse in (True, False)
    )
    assert special.usage.prompt_tokens < text.usage.prompt_tokens


def test_a_model_without_marks_refuses_a_gap(real_kit, real_engine):
    with pytest.raises(UnsupportedParameter, match="smollm2"):
        real_engine.generate(asking(real_kit, Prompt("a", suffix="b")), threading.Event())


def test_an_answer_goes_on_after_what_was_produced(kit, engine):
    prompt = Prompt("One two three four")
    whole = ask(engine, asking(kit, prompt, max_tokens=8))
    rest = ask(engine, asking(kit, prompt, max_tokens=8, produced=whole.ids[:3]))
    assert rest.usage.completion_tokens == 8
    assert len(rest.ids) == 5
