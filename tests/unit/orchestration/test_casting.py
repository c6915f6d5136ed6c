"""Who does what: by preset, by role, by the model that was named."""

import pytest

from orchestration.modes.casting import CastingInputs
from orchestration.modes.registry import classes
from presets.catalogue import Catalogue
from workers.contract.errors import NotEnoughModels
from workers.settings import read

CATALOGUE = Catalogue.load(None, "scripted")


def inputs(mode, lead, *configured, preset=None, task_type=None, named=True, **environ):
    row = CATALOGUE.preset(preset) if preset else None
    models = row.models if row else configured
    settings = read({f"INFERENCE_{name}": value for name, value in environ.items()}, env_file=None)
    return CastingInputs(
        mode=mode,
        lead=CATALOGUE.get(lead),
        configured=tuple(map(CATALOGUE.get, models)),
        preset=row,
        task_type=task_type,
        settings=settings,
        named=named,
    )


def cast(mode, *arguments, **options):
    members = classes()[mode].cast(inputs(mode, *arguments, **options))
    return [(member.part, member.model) for member in members]


def leader(mode, *arguments, **options):
    return classes()[mode].leader(inputs(mode, *arguments, **options)).id


def test_single_has_no_cast():
    assert cast("single", "phi-4", "phi-4") == []


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
    assert cast("critique", lead, preset=preset) == expected


def test_critique_by_role():
    models = ("llama-3.2-3b", "qwen2.5-7b", "deepseek-r1-7b")
    assert cast("critique", "qwen2.5-7b", *models)[1] == ("critic", "deepseek-r1-7b")
    assert cast("critique", "deepseek-r1-7b", *models)[1] == ("critic", "llama-3.2-3b")


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
    assert cast("pipeline", lead, preset=preset) == expected


@pytest.mark.parametrize(
    ("task_type", "refines"),
    [("code", "qwen2.5-7b"), ("analyze", "deepseek-r1-7b"), (None, "deepseek-r1-7b")],
)
def test_pipeline_by_role_and_task(task_type, refines):
    models = ("llama-3.2-3b", "qwen2.5-7b", "deepseek-r1-7b", "phi-4")
    assert cast("pipeline", "phi-4", *models, task_type=task_type) == [
        ("draft", "llama-3.2-3b"),
        ("refine", refines),
        ("validate", "phi-4"),
    ]


def test_two_models_do_three_stages():
    parts = cast("pipeline", "phi-4", "llama-3.2-3b", "phi-4")
    assert parts == [("draft", "llama-3.2-3b"), ("refine", "phi-4"), ("validate", "phi-4")]


def test_stages_of_the_settings():
    models = ("llama-3.2-3b", "phi-3-medium-128k", "phi-4")
    parts = cast("pipeline", "phi-4", *models, PIPELINE_STAGES="draft,expand")
    assert parts == [("draft", "llama-3.2-3b"), ("expand", "phi-4")]


@pytest.mark.parametrize("mode", ["critique", "debate", "ensemble", "pipeline"])
def test_one_model_is_not_enough(mode):
    with pytest.raises(NotEnoughModels) as refused:
        cast(mode, "phi-4", "phi-4")
    assert refused.value.details["configured"] == ["phi-4"]
    assert refused.value.details["missing"]


ALL = ("phi-4", "llama-3.2-3b", "qwen2.5-7b", "deepseek-r1-7b", "phi-3-medium-128k")


def test_debate_by_preset():
    assert cast("debate", "phi-4", preset="D3") == [
        ("participant", "phi-4"),
        ("participant", "deepseek-r1-7b"),
        ("reconciler", "phi-4"),
        ("judge", "phi-4"),
    ]
    # Named, the other one reconciles, and comes first.
    named = cast("debate", "deepseek-r1-7b", preset="D3")
    assert named[0] == ("participant", "deepseek-r1-7b")
    assert named[2] == ("reconciler", "deepseek-r1-7b")


def test_debate_by_role_and_task():
    parts = cast("debate", "phi-4", *ALL)
    assert [model for part, model in parts if part == "participant"] == [
        "phi-4",
        "qwen2.5-7b",
        "deepseek-r1-7b",
        "phi-3-medium-128k",
    ]
    parts = cast("debate", "phi-4", *ALL, task_type="quick")
    assert parts[1] == ("participant", "llama-3.2-3b")
    assert parts[0] == ("participant", "phi-4")


def test_ensemble_by_preset_and_by_role():
    assert cast("ensemble", "phi-4", preset="T2") == [
        ("member", "phi-4"),
        ("member", "deepseek-r1-7b"),
        ("member", "llama-3.2-3b"),
        ("synthesiser", "phi-4"),
        ("judge", "phi-4"),
    ]
    parts = cast("ensemble", "phi-4", *ALL)
    assert {model for part, model in parts if part == "member"} == set(ALL)
    assert ("synthesiser", "phi-4") in parts


def test_self_consistency_is_a_preset_without_a_synthesiser():
    parts = cast("ensemble", "smollm2-135m", preset="demo-consistency")
    assert parts == [("member", "smollm2-135m")] * 5 + [("judge", "smollm2-135m")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "phi-4"),
        ({"named": False}, "phi-4"),
        ({"named": False, "DEBATE_RECONCILE_MODEL": "thinker"}, "deepseek-r1-7b"),
        ({"named": False, "DEBATE_RECONCILE_MODEL": "llama-3.2-3b"}, "llama-3.2-3b"),
        ({"DEBATE_RECONCILE_MODEL": "llama-3.2-3b"}, "phi-4"),
    ],
)
def test_who_leads_is_named_or_set(changes, expected):
    assert leader("debate", "phi-4", *ALL, **changes) == expected


def test_a_preset_says_who_leads_where_nobody_is_named():
    assert leader("ensemble", "llama-3.2-3b", preset="T9", named=False) == "deepseek-r1-7b"


@pytest.mark.parametrize(
    ("preset", "lead"),
    [
        ("S1", "phi-4"),
        ("D4", "qwen2.5-7b"),
        ("D1", "phi-4"),
        ("D10", "deepseek-r1-7b"),
        ("T9", "deepseek-r1-7b"),
        ("demo-consistency", "smollm2-135m"),
    ],
)
def test_who_leads_a_preset(preset, lead):
    row = CATALOGUE.preset(preset)
    assert classes()[row.mode].lead_of(row) == lead


def test_a_judge_may_be_set_and_must_be_there():
    members = cast("debate", "phi-4", *ALL, JUDGE_MODEL="thinker")
    assert members[-1] == ("judge", "deepseek-r1-7b")
    with pytest.raises(NotEnoughModels, match="gpt-oss-20b, which the settings name"):
        cast("debate", "phi-4", *ALL, JUDGE_MODEL="gpt-oss-20b")
