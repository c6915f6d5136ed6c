"""Budgets of the context, as callers see them."""

from presets.budgets import Budgets
from tests.support.front_end import MODEL
from tests.support.jobs import ask

#: Says what it is told until something ends it.
ENDLESS = {"text": "one two", "repeat": True, "tokens_per_s": 1e6, "prompt_tokens": 7}


def test_a_model_tells_its_budgets(scripted_service):
    listed = scripted_service.get(f"/v1/models/{MODEL}").json()
    assert listed["budgets"] == Budgets.of_context(listed["context_available"]).to_dict()
    shown = scripted_service.run("models", "show", MODEL).stdout
    assert f"budgets         total {listed['budgets']['total']}, system " in shown


def test_an_answer_without_max_tokens_has_the_generation_part(scripted_service):
    budgets = scripted_service.get(f"/v1/models/{MODEL}").json()["budgets"]
    answer = ask(scripted_service, ENDLESS)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == budgets["generation"]


def test_the_generation_part_is_bounded_by_what_the_context_has_left(scripted_service):
    context = scripted_service.get(f"/v1/models/{MODEL}").json()["context_available"]
    answer = ask(scripted_service, {**ENDLESS, "prompt_tokens": context - 5})
    assert answer["usage"]["completion_tokens"] == 5


def test_who_names_more_than_the_generation_part_gets_it(scripted_service):
    budgets = scripted_service.get(f"/v1/models/{MODEL}").json()["budgets"]
    more = budgets["generation"] + 3
    assert ask(scripted_service, ENDLESS, max_tokens=more)["usage"]["completion_tokens"] == more
    least = ask(scripted_service, ENDLESS, min_tokens=more)
    assert least["usage"]["completion_tokens"] == more
