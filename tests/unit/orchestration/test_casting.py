"""Who does what: by preset, by role, by the model that was named."""

from dataclasses import replace

import pytest

from orchestration.modes.casting import CastingInputs, cast, leader
from presets.catalogue import Catalogue
from workers.contract.errors import NotEnoughModels

CATALOGUE = Catalogue.load(None, "scripted")
STAGES = ("draft", "refine", "validate")


def scene(lead, *configured, preset=None, task_type=None, stages=STAGES):
    found = CATALOGUE.preset(preset) if preset else None
    models = found.models if found else configured
    return CastingInputs(
        CATALOGUE.get(lead), tuple(map(CATALOGUE.get, models)), found, task_type, stages
    )


def told(mode, *arguments, **options):
    return [(one.part, one.model) for one in cast(mode, scene(*arguments, **options))]


def test_single_has_no_cast():
    assert told("single", "phi-4", "phi-4") == []


@pytest.mark.parametrize(
    ("lead", "preset", "expected"),
    [
        # The row's own parts.
        ("qwen2.5-7b", "D4", [("generator", "qwen2.5-7b"), ("critic", "deepseek-r1-7b")]),
        # The row's critic was named: it answers, and the other judges.
        ("deepseek-r1-7b", "D4", [("generator", "deepseek-r1-7b"), ("critic", "qwen2.5-7b")]),
    ],
)
def test_critique_by_preset(lead, preset, expected):
    assert told("critique", lead, preset=preset) == expected


def test_critique_by_role():
    models = ("llama-3.2-3b", "qwen2.5-7b", "deepseek-r1-7b")
    assert told("critique", "qwen2.5-7b", *models)[1] == ("critic", "deepseek-r1-7b")
    assert told("critique", "deepseek-r1-7b", *models)[1] == ("critic", "llama-3.2-3b")


@pytest.mark.parametrize(
    ("lead", "preset", "expected"),
    [
        ("phi-4", "D1", [("draft", "llama-3.2-3b"), ("validate", "phi-4")]),
        (
            "deepseek-r1-7b",
            "T3",
            [("draft", "llama-3.2-3b"), ("refine", "qwen2.5-7b"), ("validate", "deepseek-r1-7b")],
        ),
        # Named, the drafter changes places with the last.
        ("llama-3.2-3b", "D1", [("draft", "phi-4"), ("validate", "llama-3.2-3b")]),
    ],
)
def test_pipeline_by_preset(lead, preset, expected):
    assert told("pipeline", lead, preset=preset) == expected


@pytest.mark.parametrize(
    ("task_type", "refines"),
    [("code", "qwen2.5-7b"), ("analyze", "deepseek-r1-7b"), (None, "deepseek-r1-7b")],
)
def test_pipeline_by_role_and_task(task_type, refines):
    models = ("llama-3.2-3b", "qwen2.5-7b", "deepseek-r1-7b", "phi-4")
    assert told("pipeline", "phi-4", *models, task_type=task_type) == [
        ("draft", "llama-3.2-3b"),
        ("refine", refines),
        ("validate", "phi-4"),
    ]


def test_two_models_do_three_stages():
    parts = told("pipeline", "phi-4", "llama-3.2-3b", "phi-4")
    assert parts == [("draft", "llama-3.2-3b"), ("refine", "phi-4"), ("validate", "phi-4")]


def test_stages_of_the_settings():
    models = ("llama-3.2-3b", "phi-3-medium-128k", "phi-4")
    parts = told("pipeline", "phi-4", *models, stages=("draft", "expand"))
    assert parts == [("draft", "llama-3.2-3b"), ("expand", "phi-4")]


@pytest.mark.parametrize("mode", ["critique", "debate", "ensemble", "pipeline"])
def test_one_model_is_not_enough(mode):
    with pytest.raises(NotEnoughModels) as refused:
        told(mode, "phi-4", "phi-4")
    assert refused.value.details["configured"] == ["phi-4"]
    assert refused.value.details["missing"]


ALL = ("phi-4", "llama-3.2-3b", "qwen2.5-7b", "deepseek-r1-7b", "phi-3-medium-128k")


def test_debate_by_preset():
    assert told("debate", "phi-4", preset="D3") == [
        ("participant", "phi-4"),
        ("participant", "deepseek-r1-7b"),
        ("reconciler", "phi-4"),
        ("judge", "phi-4"),
    ]
    # Named, the other one reconciles, and comes first.
    named = told("debate", "deepseek-r1-7b", preset="D3")
    assert named[0] == ("participant", "deepseek-r1-7b")
    assert named[2] == ("reconciler", "deepseek-r1-7b")


def test_debate_by_role_and_task():
    parts = told("debate", "phi-4", *ALL)
    assert [model for part, model in parts if part == "participant"] == [
        "phi-4",
        "qwen2.5-7b",
        "deepseek-r1-7b",
        "phi-3-medium-128k",
    ]
    parts = told("debate", "phi-4", *ALL, task_type="quick")
    assert parts[1] == ("participant", "llama-3.2-3b")
    assert parts[0] == ("participant", "phi-4")


def test_ensemble_by_preset_and_by_role():
    assert told("ensemble", "phi-4", preset="T2") == [
        ("member", "phi-4"),
        ("member", "deepseek-r1-7b"),
        ("member", "llama-3.2-3b"),
        ("synthesiser", "phi-4"),
        ("judge", "phi-4"),
    ]
    parts = told("ensemble", "phi-4", *ALL)
    assert {model for part, model in parts if part == "member"} == set(ALL)
    assert ("synthesiser", "phi-4") in parts


def test_self_consistency_is_a_preset_without_a_synthesiser():
    parts = told("ensemble", "smollm2-135m", preset="demo-consistency")
    assert parts == [("member", "smollm2-135m")] * 5 + [("judge", "smollm2-135m")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "phi-4"),
        ({"named": False}, "phi-4"),
        ({"named": False, "reconciler": "thinker"}, "deepseek-r1-7b"),
        ({"named": False, "reconciler": "llama-3.2-3b"}, "llama-3.2-3b"),
        ({"reconciler": "llama-3.2-3b"}, "phi-4"),
    ],
)
def test_who_leads_is_named_or_set(changes, expected):
    assert leader("debate", replace(scene("phi-4", *ALL), **changes)).id == expected


def test_a_preset_says_who_leads_where_nobody_is_named():
    asked = replace(scene("llama-3.2-3b", preset="T9"), named=False)
    assert leader("ensemble", asked).id == "deepseek-r1-7b"


def test_a_judge_may_be_set_and_must_be_there():
    parts = cast("debate", replace(scene("phi-4", *ALL), judge="thinker"))
    assert parts[-1].model == "deepseek-r1-7b"
    with pytest.raises(NotEnoughModels, match="gpt-oss-20b, which the settings name"):
        cast("debate", replace(scene("phi-4", *ALL), judge="gpt-oss-20b"))
