"""The cast: in which mode a job is answered, and which model does what in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.routing.roles import ANY, ROLES_FOR_ROLE, ranked, roles_for
from presets.model import ModelSpec
from presets.preset import Preset
from workers.contract.errors import NotEnoughModels
from workers.contract.job import Part

#: Part -> the roles that are asked in turn for it, where the task does not decide.
_ROLES = {
    "draft": ("fast", "primary", ANY),
    "refine": ("coder", "thinker", "primary", ANY),
    "expand": ("longctx", "thinker", "primary", ANY),
    "code": ("coder", "primary", ANY),
    "validate": ("primary", ANY),
    "critic": ("thinker", "primary", ANY),
}


@dataclass(frozen=True, slots=True)
class CastingInputs:
    """What a cast is chosen from."""

    #: The model that the caller named, or that was routed for it: it leads.
    lead: ModelSpec
    #: Models that this service is to serve, or serves.
    configured: tuple[ModelSpec, ...]
    #: The preset that runs, where it is one of the job's mode.
    preset: Preset | None
    task_type: str | None
    #: Stages of a pipeline whose preset names none.
    stages: tuple[str, ...]
    #: The caller named the lead; else who leads is the preset's or the settings' to say.
    named: bool = True
    #: Who writes an answer of several, and who says which of them mean the same: roles or models;
    #: a judge of None is who writes the answer.
    reconciler: str = "primary"
    synthesiser: str = "primary"
    judge: str | None = None

    def others(self, *taken: str) -> tuple[ModelSpec, ...]:
        """Configured models that are none of these."""
        return tuple(spec for spec in self.configured if spec.id not in taken)

    def best(self, part: str, *taken: str) -> ModelSpec | None:
        """The model that fits a part best, of those that are not taken."""
        roles = _ROLES[part]
        if part == "refine" and "coder" not in roles_for(self.task_type):
            roles = ("thinker", "coder", "primary", ANY)
        found = ranked(self.others(*taken), roles)
        return found[0] if found else None


def cast(mode: str, scene: CastingInputs) -> tuple[Part, ...]:
    """Who does what, in the mode's order; empty in mode `single`.

    Raises:
        NotEnoughModels: the mode needs more models than are configured; names what is missing.
    """
    return _CASTS[mode](scene)


def leader(mode: str, scene: CastingInputs) -> ModelSpec:
    """Who leads: the model that was named, else whom the preset or the settings let write.

    Raises:
        NotEnoughModels: the settings name a model that is not configured.
    """
    if scene.named or mode not in ("debate", "ensemble"):
        return scene.lead
    preset = scene.preset
    writes = scene.reconciler if mode == "debate" else scene.synthesiser
    if preset is not None:
        writes = preset.reconciler or preset.synthesiser or preset.models[0]
    return _found(mode, scene, writes)


def _single(_scene: CastingInputs) -> tuple[Part, ...]:
    return ()


def _critique(scene: CastingInputs) -> tuple[Part, ...]:
    generator, preset = scene.lead.id, scene.preset
    named = [preset.critic, preset.generator] if preset is not None else []
    critic = next((one for one in named if one is not None and one != generator), None)
    if critic is None:
        found = scene.best("critic", generator)
        critic = None if found is None else found.id
    if critic is None:
        raise _missing("critique", scene, "a critic beside the model that answers")
    return (Part("generator", generator), Part("critic", critic))


def _debate(scene: CastingInputs) -> tuple[Part, ...]:
    """The lead, beside it the preset's others; else a coder, a thinker and a long reader."""
    lead, preset = scene.lead, scene.preset
    if preset is not None:
        participants = _in_turn(preset, [lead.id, *preset.models])
    else:
        wanted: list[tuple[str, ...]] = [("coder",), ("thinker",), ("longctx",)]
        if scene.task_type is not None:
            wanted.insert(0, roles_for(scene.task_type))
        participants = [lead.id]
        for roles in wanted:
            if found := ranked(scene.others(*participants), roles):
                participants.append(found[0].id)
        if len(participants) == 1:
            participants += [spec.id for spec in scene.others(lead.id)[:1]]
    if len(participants) < 2:
        raise _missing("debate", scene, "a second model to debate with")
    parts = [Part("participant", model) for model in participants]
    return (*parts, Part("reconciler", lead.id), Part("judge", _judge("debate", scene)))


def _ensemble(scene: CastingInputs) -> tuple[Part, ...]:
    """Every model of the preset; else every one that is configured, those that fit first.

    One model that answers several times needs nobody who writes: the vote decides.
    """
    lead, preset = scene.lead, scene.preset
    if preset is not None:
        first = [lead.id] if lead.id in preset.models else []
        members = _in_turn(preset, [*first, *preset.models])
    else:
        others = ranked(scene.others(lead.id), (*roles_for(scene.task_type), ANY))
        members = [lead.id, *(spec.id for spec in others)]
    if len(members) < 2:
        raise _missing("ensemble", scene, "a second model that answers")
    parts = [Part("member", model) for model in members]
    if preset is None or preset.members is None or preset.synthesiser is not None:
        parts.append(Part("synthesiser", lead.id))
    return (*parts, Part("judge", _judge("ensemble", scene)))


def _in_turn(preset: Preset, models: Sequence[str]) -> list[str]:
    """These models, each once; in turn, where the preset has more members than models."""
    once = list(dict.fromkeys(models))
    count = max(preset.members or 0, len(once))
    return [once[at % len(once)] for at in range(count)]


def _judge(mode: str, scene: CastingInputs) -> str:
    return scene.lead.id if scene.judge is None else _found(mode, scene, scene.judge).id


def _found(mode: str, scene: CastingInputs, wanted: str) -> ModelSpec:
    """The configured model of this name, or the one that fits this role best."""
    by_id = {spec.id: spec for spec in scene.configured}
    fitting = ranked(scene.configured, ROLES_FOR_ROLE.get(wanted, ()))
    found = by_id.get(wanted) or (fitting[0] if fitting else None)
    if found is None:
        raise _missing(mode, scene, f"{wanted}, which the settings name")
    return found


def _pipeline(scene: CastingInputs) -> tuple[Part, ...]:
    preset = scene.preset
    if preset is not None and preset.stages:
        parts = [Part(one.stage, one.model) for one in preset.stages]
        return _led(parts, scene.lead.id)
    if preset is not None:
        between = ["refine"] * (len(preset.models) - 2)
        stages = ["draft", *between, "validate"][: max(2, len(preset.models))]
        if len(preset.models) < 2:
            raise _missing("pipeline", scene, "a second model")
        parts = [Part(s, m) for s, m in zip(stages, preset.models, strict=True)]
        return _led(parts, scene.lead.id)
    return _staged(scene)


def _staged(scene: CastingInputs) -> tuple[Part, ...]:
    """The stages of the settings, each by the model that fits it best; the lead does the last.

    A model works on another's text before on its own: it does two stages only where there are
    fewer models than stages.
    """
    if len(scene.others(scene.lead.id)) < 1:
        raise _missing("pipeline", scene, "a model that drafts, beside the one that answers")
    parts: list[Part] = []
    taken = [scene.lead.id]
    for stage in scene.stages[:-1]:
        found = scene.best(stage, *taken) or scene.best(stage, parts[-1].model, scene.lead.id)
        found = found or scene.best(stage, parts[-1].model)
        if found is None:
            raise _missing("pipeline", scene, f"a model for the stage {stage}")
        parts.append(Part(stage, found.id))
        taken.append(found.id)
    return (*parts, Part(scene.stages[-1], scene.lead.id))


def _led(parts: Sequence[Part], lead: str) -> tuple[Part, ...]:
    """The lead does the last part; where it had another, they change places."""
    last = parts[-1].model
    if last == lead:
        return tuple(parts)
    changed = [Part(one.part, last if one.model == lead else one.model) for one in parts[:-1]]
    return (*changed, Part(parts[-1].part, lead))


def _missing(mode: str, scene: CastingInputs, what: str) -> NotEnoughModels:
    there = [spec.id for spec in scene.configured]
    return NotEnoughModels(
        f"Mode {mode} needs {what}; configured: {', '.join(there) or 'none'}. Name more in "
        "INFERENCE_PRELOAD_MODELS, or start a preset of this mode: inference-service presets list "
        f"--mode {mode}",
        details={"mode": mode, "missing": what, "configured": there},
    )


_CASTS = {
    "single": _single,
    "critique": _critique,
    "debate": _debate,
    "ensemble": _ensemble,
    "pipeline": _pipeline,
}
