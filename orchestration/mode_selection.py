"""The mode_selector: settles in which mode a job is answered and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orchestration.modes.casting import CastingInputs, cast, leader
from orchestration.modes.registry import MODES
from orchestration.routing.resolve import configured
from presets.catalogue import Catalogue
from presets.model import ModelSpec
from presets.preset import Preset
from workers.cluster.directory import Directory
from workers.contract.job import Job
from workers.settings import Settings


class ModeSelector:
    """Knows the settings, the preset that runs, and which models there are."""

    def __init__(self, settings: Settings, catalogue: Catalogue, directory: Directory) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._directory = directory

    @property
    def preset(self) -> Preset | None:
        """The preset that runs; None where models were chosen in another way."""
        if self._settings.config is None or self._settings.preload_models is not None:
            return None
        return self._catalogue.preset(self._settings.config)

    @property
    def default_mode(self) -> str:
        """The mode of a request that names none."""
        if self._settings.orchestration_mode is not None:
            return self._settings.orchestration_mode
        preset = self.preset
        return preset.mode if preset is not None and preset.mode in MODES else "single"

    def direct(self, job: Job, lead: ModelSpec) -> Job:
        """The job with its mode, cast and bounds; `lead` answers, reconciles or validates.

        Where `lead` was routed and not named, another may lead.

        Raises:
            NotEnoughModels: its mode needs more models than are configured.
            redis.RedisError: Redis is away.
        """
        mode = job.mode or self.default_mode
        preset = self.preset
        scene = CastingInputs(
            lead=lead,
            configured=configured(self._settings, self._catalogue, self._directory),
            preset=preset if preset is not None and preset.mode == mode else None,
            task_type=job.task_type,
            stages=self._settings.pipeline_stages,
            named=job.routing is None,
            reconciler=self._settings.debate_reconcile_model,
            synthesiser=self._settings.ensemble_synthesis_model,
            judge=self._settings.judge_model,
        )
        leads = leader(mode, scene)
        if job.routing is not None and leads.id != lead.id:
            reason = f"{job.routing['reason']}; {leads.id} writes the answer in mode {mode}"
            job = replace(job, routing={**job.routing, "model": leads.id, "reason": reason})
        scene = replace(scene, lead=leads)
        return replace(
            job,
            model=scene.lead.id,
            mode=mode,
            cast=cast(mode, scene),
            bounds=self._bounds(mode, scene.preset),
            preset=None if preset is None else preset.id,
        )

    def _bounds(self, mode: str, preset: Preset | None) -> Mapping[str, float | str]:
        settings = self._settings
        of_members: dict[str, float | str] = {
            "quorum": settings.quorum,
            "grace_s": settings.quorum_grace_s,
            "timeout_s": settings.member_timeout_s,
        }
        if preset is not None and preset.temperature is not None:
            of_members["temperature"] = preset.temperature
        bounds: dict[str, Mapping[str, float | str]] = {
            "critique": {
                "critique_max_rounds": settings.critique_max_rounds,
                "critique_threshold": settings.critique_threshold,
            },
            "debate": {**of_members, "max_rounds": settings.debate_max_rounds},
            "ensemble": {
                **of_members,
                "min_agreement": settings.ensemble_min_agreement,
                "on_dissent": settings.ensemble_on_dissent,
            },
        }
        return bounds.get(mode, {})
