"""Casting: what all modes choose from when they settle which model does what. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.routing.roles import ROLES_FOR_ROLE, ranked
from presets.model import ModelSpec
from presets.preset import Preset
from workers.contract.errors import NotEnoughModels
from workers.settings import Settings


@dataclass(frozen=True, slots=True)
class CastingInputs:
    """What a cast is chosen from."""

    #: Name of the mode that is cast.
    mode: str
    #: The model that the caller named, or that was routed for it: it leads.
    lead: ModelSpec
    #: Models that this service is to serve, or serves.
    configured: tuple[ModelSpec, ...]
    #: The preset that runs, where it is one of the mode.
    preset: Preset | None
    task_type: str | None
    settings: Settings
    #: The caller named the lead; else who leads is the preset's or the settings' to say.
    named: bool = True

    def others(self, *taken: str) -> tuple[ModelSpec, ...]:
        """Configured models that are none of these."""
        return tuple(spec for spec in self.configured if spec.id not in taken)

    def best(self, roles: tuple[str, ...], *taken: str) -> ModelSpec | None:
        """The model that fits these roles best, asked in turn, of those that are not taken."""
        fitting = ranked(self.others(*taken), roles)
        return fitting[0] if fitting else None

    def configured_model(self, wanted: str) -> ModelSpec:
        """The configured model of this name, or the one that fits the role of this name best.

        Raises:
            NotEnoughModels: there is neither.
        """
        by_id = {spec.id: spec for spec in self.configured}
        model = by_id.get(wanted) or self.best(ROLES_FOR_ROLE.get(wanted, ()))
        if model is None:
            raise self.missing(f"{wanted}, which the settings name")
        return model

    def writer(self, wanted: str) -> ModelSpec:
        """Who writes the answer: the model that was named, else `wanted`, a name or a role.

        Raises:
            NotEnoughModels: `wanted` is not configured.
        """
        return self.lead if self.named else self.configured_model(wanted)

    def missing(self, what: str) -> NotEnoughModels:
        """The error of a mode that lacks a model."""
        there = [spec.id for spec in self.configured]
        return NotEnoughModels(
            f"Mode {self.mode} needs {what}; configured: {', '.join(there) or 'none'}. Name more "
            "in INFERENCE_PRELOAD_MODELS, or start a preset of this mode: inference-service "
            f"presets list --mode {self.mode}",
            details={"mode": self.mode, "missing": what, "configured": there},
        )
