"""What every mode is: who takes part, which steps it begins with, and what follows them. Pure."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from orchestration.handoff import NOTHING_SETTLED, Settled
from orchestration.modes.casting import CastingInputs
from orchestration.modes.rounds import FinishedStep, History, Next, Round
from orchestration.prompts.rendering import Prompts
from orchestration.prompts.template import Template
from presets.model import ModelSpec
from presets.preset import Preset
from workers.contract.job import CastMember, Job
from workers.contract.step import Assignment
from workers.settings import Settings

#: A mode's limits in one job, by name, as JSON can carry them.
Bounds = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mode reads in a step's text, beside the text."""

    #: For those who watch: `score`, `verdict`, `problem`.
    findings: Mapping[str, Any] = field(default_factory=dict)
    #: What the text says is wrong with another step's.
    errors: tuple[str, ...] = ()
    #: What it settles, with the quotes that show it.
    settled: Settled = NOTHING_SETTLED
    #: The text is about others' and is handed to nobody as an answer, or to the caller alone: its
    #: own words are no sign of contamination.
    judges: bool = False


class Mode(abc.ABC):
    """How several models answer one request. Holds nothing of any job.

    Who takes part is asked of the class, since nothing has to be compiled for it; the steps are
    planned by an instance, which has the templates.
    """

    #: What requests, presets and settings call it.
    name: ClassVar[str]
    #: Templates of its prompts; each is tried at start-up.
    templates: ClassVar[tuple[Template, ...]] = ()
    #: Fields of a preset that say something to this mode, beside its models.
    preset_fields: ClassVar[tuple[str, ...]] = ()
    #: The model is asked what the caller sent, and nothing else: the prompt's end and the number of
    #: choices are the caller's. The steps of other modes have prompts of their own, and one answer.
    asks_as_sent: ClassVar[bool] = False
    #: One step goes on from the text of the one before: what a long one settles is read out of it
    #: by the fast model. Where a step says it in JSON, `read` does, and nobody else is asked.
    hands_on_texts: ClassVar[bool] = False

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    @property
    def prompts(self) -> Prompts:
        """The templates, compiled."""
        return self._prompts

    @classmethod
    def lead_of(cls, preset: Preset) -> str:
        """The model that leads where the preset runs and the request names none."""
        return preset.models[0]

    @classmethod
    def leader(cls, inputs: CastingInputs) -> ModelSpec:
        """The model that leads a job: the one that was named or routed, unless a mode says more.

        Raises:
            NotEnoughModels: the settings name a model that is not configured.
        """
        return inputs.lead

    @classmethod
    @abc.abstractmethod
    def cast(cls, inputs: CastingInputs) -> tuple[CastMember, ...]:
        """Which model does what, in the mode's order; empty where one model answers alone.

        Raises:
            NotEnoughModels: it needs more models than are configured; names what is missing.
        """

    @classmethod
    def bounds(cls, settings: Settings, preset: Preset | None) -> Bounds:
        """The mode's limits, kept with the job; `preset` is the one that runs, if of this mode."""
        return {}

    @abc.abstractmethod
    def total_steps(self, job: Job) -> int:
        """Steps of the whole plan, where nothing is done again."""

    @abc.abstractmethod
    def plan(self, job: Job) -> Round:
        """The first round."""

    @abc.abstractmethod
    def advance(self, job: Job, history: History) -> Next:
        """The next round, or the end. The last tries of all steps are there, usable or not."""

    def read(self, job: Job, done: FinishedStep) -> Reading:
        """What a step's text says beside being a text."""
        return Reading()

    def fresh(self, job: Job, done: FinishedStep) -> Assignment | None:
        """What a step is asked when it is done again without what came before it."""
        return done.step.assignment
