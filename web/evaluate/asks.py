"""Asks: what is put to a service, and under what name its answer is kept. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from orchestration.modes import registry
from presets.preset import Preset
from web.evaluate.tasks import Task
from workers.contract.fields import without_none
from workers.contract.job import DEFAULT_MODE, Priority


@dataclass(frozen=True, slots=True)
class Options:
    """What all questions of an evaluation are asked with."""

    #: Tokens of an answer at most, of each step's in modes with several; None: the service's own.
    max_tokens: int | None = None
    #: None: the service's own.
    temperature: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """What is given; what is left to the service is left out."""
        return without_none({"max_tokens": self.max_tokens, "temperature": self.temperature})


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to one model alone (`preset` is None), or to a preset."""

    task: Task
    model: str
    mode: str
    options: Options
    preset: str | None = None
    #: Which of several answers of one model.
    sample: int = 0

    @property
    def seed(self) -> int:
        """A seed for this question's sample alone.

        One seed for all questions would draw the first token of each from the same place of its
        distribution: questions would be right or wrong together, and no interval would hold.
        """
        drawn = hashlib.sha256(f"{self.task.id} {self.sample}".encode()).digest()
        return int.from_bytes(drawn[:4]) % 2**31

    @property
    def body(self) -> dict[str, Any]:
        """The body of `POST /v1/jobs`.

        A preset gets no seed: members that share a model would say the same.
        """
        seed = {} if self.preset else {"seed": self.seed}
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": self.task.question}],
            "orchestration_mode": self.mode,
            "priority": Priority.BULK.value,
            **self.options.to_dict(),
            **seed,
        }

    @property
    def digest(self) -> str:
        """What its answer is kept under: whatever changes what is asked, changes it."""
        asked = json.dumps([self.preset, self.body], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:32]


def alone(task: Task, model: str, options: Options, sample: int = 0) -> Ask:
    """The question to one model alone."""
    return Ask(task, model, DEFAULT_MODE, options, sample=sample)


def together(task: Task, preset: Preset, options: Options) -> Ask:
    """The question to a preset."""
    return Ask(task, lead(preset), preset.mode, options, preset=preset.id)


def lead(preset: Preset) -> str:
    """The model that answers for a preset: alone, it is what the preset is compared with."""
    return registry.classes()[preset.mode].lead_of(preset)
