"""In which mode a job is answered, who leads, and the bounds that go with it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from orchestration.mode_selection import ModeSelector
from presets.catalogue import Catalogue
from workers.contract.errors import ModelNotFound, ValidationFailed
from workers.contract.job import Job, Message, TemplateOptions
from workers.contract.tools import Tool, ToolChoice, Tools
from workers.settings import read

CATALOGUE = Catalogue.load(None, "scripted")
ROUTED = {"model": "llama-3.2-3b", "requested": "auto", "strategy": "least_busy", "reason": "idle"}


def selected(
    lead,
    *,
    mode="",
    routing=None,
    template=TemplateOptions(),  # noqa: B008
    tools=None,
    choices=1,
    compression=None,
    **environ,
):
    settings = read({f"INFERENCE_{name}": value for name, value in environ.items()}, env_file=None)
    mode_selector = ModeSelector(settings, CATALOGUE, SimpleNamespace(workers=tuple))
    job = Job(
        "j",
        lead,
        (Message("user", "?"),),
        created=1,
        mode=mode,
        routing=routing,
        template=template,
        tools=tools,
        choices=choices,
        compression=compression,
    )
    return mode_selector.select(job, CATALOGUE.get(lead))


def test_a_preset_settles_mode_cast_and_who_leads():
    job = selected("llama-3.2-3b", routing=ROUTED, CONFIG="T2")
    assert (job.mode, job.model) == ("ensemble", "phi-4")
    assert job.routing["model"] == "phi-4"
    assert job.routing["reason"] == "idle; phi-4 writes the answer in mode ensemble"
    assert job.routing["requested"] == "auto"


@pytest.mark.parametrize("running", [{}, {"CONFIG": "T2"}])
def test_a_preset_that_is_named_casts_its_own_models_alone(running):
    settings = read({f"INFERENCE_{name}": value for name, value in running.items()}, env_file=None)
    selector = ModeSelector(settings, CATALOGUE, SimpleNamespace(workers=tuple))
    job = Job("j", "inference:preset:d4", (Message("user", "?"),), created=1, mode="")
    job, preset = selector.of_preset(job)
    job = selector.select(job, CATALOGUE.get(job.model), preset)
    assert (job.mode, job.preset, job.model) == ("critique", "D4", "qwen2.5-7b")
    assert {member.model for member in job.cast} == {"qwen2.5-7b", "deepseek-r1-7b"}
    with pytest.raises(ValidationFailed, match="critique"):
        selector.of_preset(replace(job, model="preset:D4", mode="debate"))
    with pytest.raises(ModelNotFound, match="preset:D4"):
        selector.of_preset(replace(job, model="preset:D44"))
    assert selector.of_preset(job) == (job, None)


def test_a_named_model_leads_whatever_the_preset_says():
    job = selected("deepseek-r1-7b", CONFIG="D3", DEBATE_RECONCILE_MODEL="phi-4")
    assert (job.mode, job.model, job.routing) == ("debate", "deepseek-r1-7b", None)


def test_the_settings_say_who_reconciles_and_judges():
    models = "llama-3.2-3b,deepseek-r1-7b,phi-4"
    job = selected(
        "llama-3.2-3b",
        mode="debate",
        routing=ROUTED,
        PRELOAD_MODELS=models,
        DEBATE_RECONCILE_MODEL="thinker",
        JUDGE_MODEL="phi-4",
    )
    parts = {member.part: member.model for member in job.cast}
    assert (parts["reconciler"], parts["judge"]) == ("deepseek-r1-7b", "phi-4")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        (TemplateOptions(add_generation_prompt=False), "add_generation_prompt"),
        (TemplateOptions({}, False, True), "continue_final_message"),
    ],
)
def test_an_end_of_the_prompt_goes_with_one_prompt_alone(options, param):
    with pytest.raises(ValidationFailed, match="goes only with") as refused:
        selected("phi-4", mode="critique", template=options)
    assert refused.value.details == {"param": param}
    assert selected("phi-4", mode="single", template=options).template == options
    variables = TemplateOptions({"enable_thinking": False})
    assert selected("phi-4", mode="critique", template=variables).template == variables


@pytest.mark.parametrize(
    ("tools", "param"),
    [(Tools((Tool("f"),)), "tools"), (Tools((Tool("f"),), as_functions=True), "functions")],
)
def test_tools_go_with_a_mode_that_asks_what_was_sent(tools, param):
    with pytest.raises(ValidationFailed, match="'critique'") as refused:
        selected("phi-4", mode="critique", tools=tools)
    assert refused.value.details == {"param": param}
    assert selected("phi-4", mode="single", tools=tools).tools == tools
    hidden = replace(tools, choice=ToolChoice.NONE)
    assert selected("phi-4", mode="critique", tools=hidden).mode == "critique"


def test_an_agent_that_knows_of_no_modes_is_answered_by_one_model():
    tools = Tools((Tool("f"),))
    job = selected("llama-3.2-3b", routing=ROUTED, tools=tools, CONFIG="T2")
    assert (job.mode, job.model, job.cast) == ("single", "llama-3.2-3b", ())
    job = selected("phi-4", tools=tools, ORCHESTRATION_MODE="debate")
    assert (job.mode, job.model, job.cast) == ("single", "phi-4", ())


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("D3", {"quorum": 0, "grace_s": 60, "timeout_s": 600, "max_rounds": 3}),
        (
            "T2",
            {
                "quorum": 0,
                "grace_s": 60,
                "timeout_s": 600,
                "min_agreement": 0.7,
                "on_dissent": "answer",
            },
        ),
        ("D4", {"critique_max_rounds": 2, "critique_threshold": 0.8}),
        ("D1", {}),
        ("S1", {}),
    ],
)
def test_bounds_are_those_of_the_mode(preset, expected):
    lead = CATALOGUE.preset(preset).models[0]
    reading = {} if preset == "S1" else {"reading_timeout_s": 600}
    bounds = dict(selected(lead, CONFIG=preset).bounds)
    bounds.pop("fast_model", None)
    assert bounds == {**expected, **reading}


def test_the_fittest_fast_model_that_is_there_reads_between_the_steps():
    assert selected("smollm2-135m", CONFIG="demo-pipeline").bounds["fast_model"] == "smollm2-135m-c"
    assert selected("smollm2-135m", CONFIG="demo-critique").bounds["fast_model"] == "smollm2-135m"
    assert "fast_model" not in selected("phi-4", CONFIG="D4").bounds


def test_a_presets_temperature_is_a_bound():
    job = selected("smollm2-135m", CONFIG="demo-consistency")
    assert job.bounds["temperature"] == 0.7


def test_old_turns_are_shortened_where_a_request_or_the_settings_ask_for_it():
    assert selected("phi-4").compression == "off"
    assert selected("phi-4", compression="auto").compression == "auto"
    assert selected("phi-4", COMPRESSION="auto").compression == "auto"
    assert selected("phi-4", compression="off", COMPRESSION="auto").compression == "off"
    assert "reading_timeout_s" in selected("phi-4", compression="auto").bounds
    assert selected("phi-4").bounds == {}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"mode": "pipeline"}, "orchestration_mode"),
        ({"choices": 2}, "n"),
        ({"tools": Tools((Tool("f"),))}, "tools"),
        ({"template": TemplateOptions(add_generation_prompt=False)}, "add_generation_prompt"),
    ],
)
def test_what_has_to_stand_as_it_came_is_refused_with_compression(fields, named):
    with pytest.raises(ValidationFailed, match=named) as raised:
        selected("phi-4", compression="auto", **fields)
    assert raised.value.details["param"] == "compression"
    models = "llama-3.2-3b,qwen2.5-7b,phi-4"
    job = selected("phi-4", COMPRESSION="auto", PRELOAD_MODELS=models, **fields)
    assert job.compression is None
