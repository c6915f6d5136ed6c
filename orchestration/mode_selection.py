"""Mode selection: in which mode a job is answered, by which models, and within which bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestration.context import contradictions, reading_steps
from orchestration.modes import registry
from orchestration.modes.base import Mode
from orchestration.modes.casting import CastingInputs
from orchestration.routing import resolve
from orchestration.routing.resolve import configured
from orchestration.routing.roles import ranked
from presets.catalogue import Catalogue
from presets.model import ModelSpec
from presets.preset import Preset
from workers.cluster.directory import Directory
from workers.contract.errors import ValidationFailed
from workers.contract.job import COMPRESS, DEFAULT_MODE, Job
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
        """The mode of a request that names none: the settings', else the preset's."""
        if self._settings.orchestration_mode is not None:
            return self._settings.orchestration_mode
        return DEFAULT_MODE if self.preset is None else self.preset.mode

    def of_preset(self, job: Job) -> tuple[Job, Preset | None]:
        """A job that names a preset instead of a model, with that preset's mode and lead.

        One that names a model stays as it is.

        Raises:
            ModelNotFound: there is no such preset.
            ValidationFailed: it names another mode, too.
        """
        preset = resolve.preset(job.model, self._catalogue)
        if preset is None:
            return job, None
        if job.mode and job.mode != preset.mode:
            raise ValidationFailed(
                f"The preset {preset.id} answers in mode {preset.mode!r}: leave orchestration_mode "
                "out, or name a model instead of the preset.",
                details={"param": "orchestration_mode"},
            )
        lead = registry.classes()[preset.mode].lead_of(preset)
        return replace(job, model=lead, mode=preset.mode), preset

    def select(self, job: Job, lead: ModelSpec, preset: Preset | None = None) -> Job:
        """The job with its mode, cast and bounds; `lead` leads it, as the mode has it.

        Where `lead` was routed and not named, another may lead. `preset` is the one that the job
        names: its models alone are cast. Else the preset that runs has its say.

        Raises:
            NotEnoughModels: its mode needs more models than are configured.
            ValidationFailed: it asks for what its mode, which makes its own prompts, cannot give.
            redis.RedisError: Redis is away.
        """
        mode = self._mode(job)
        if not mode.asks_as_sent:
            _require_messages(job, mode.name)
            _require_no_tools(job, mode.name)
            _require_one_answer(job, mode.name)
            _require_own_prompt_end(job, mode.name)
        job = self._with_compression(job, mode)
        running = preset or self.preset
        if preset is None:
            models = configured(self._settings, self._catalogue, self._directory)
        else:
            models = tuple(self._catalogue.get(model) for model in preset.models)
        inputs = CastingInputs(
            mode=mode.name,
            lead=lead,
            configured=models,
            preset=running if running is not None and running.mode == mode.name else None,
            task_type=job.task_type,
            settings=self._settings,
            named=job.routing is None,
        )
        leader = mode.leader(inputs)
        if job.routing is not None and leader.id != lead.id:
            reason = f"{job.routing['reason']}; {leader.id} writes the answer in mode {mode.name}"
            job = replace(job, routing={**job.routing, "model": leader.id, "reason": reason})
        cast = mode.cast(replace(inputs, lead=leader))
        bounds = mode.bounds(self._settings, inputs.preset)
        if not mode.asks_as_sent or job.compression == COMPRESS:
            readers = self._readers(inputs.configured, [leader.id, *(each.model for each in cast)])
            bounds = {
                **bounds,
                **reading_steps.bounds(self._settings, readers),
                **contradictions.bounds(self._settings),
            }
        return replace(
            job,
            model=leader.id,
            mode=mode.name,
            cast=cast,
            bounds=bounds,
            preset=None if running is None else running.id,
        )

    def _readers(self, configured: Sequence[ModelSpec], cast: Sequence[str]) -> list[ModelSpec]:
        """Fast models that are there now, the fittest first: what stands between steps is small."""
        there = {*cast, *(worker.model for worker in self._directory.workers())}
        return [spec for spec in ranked(configured, ("fast",)) if spec.id in there]

    def _with_compression(self, job: Job, mode: type[Mode]) -> Job:
        """The job, and whether its old turns may be shortened: its own word, else the settings'.

        Raises:
            ValidationFailed: it asks for that where its messages cannot be rewritten.
        """
        obstacle = _obstacle(job, mode)
        if job.compression is None and obstacle is None:
            return replace(job, compression=self._settings.compression)
        if job.compression != COMPRESS or obstacle is None:
            return job
        raise ValidationFailed(
            f"compression: {COMPRESS!r} does not go with {obstacle}.",
            details={"param": "compression"},
        )

    def _mode(self, job: Job) -> type[Mode]:
        """The mode that is named; else the default, where it can give what the request asks for.

        A request with tools is an agent's: it knows of no modes, and wants calls. A prompt that its
        caller wrote whole is of no use in another.
        """
        mode = registry.classes()[job.mode or self.default_mode]
        needs_own = _offers_tools(job) or job.prompts or job.encoder_request is not None
        if not job.mode and needs_own and not mode.asks_as_sent:
            return registry.classes()[DEFAULT_MODE]
        return mode


def _obstacle(job: Job, mode: type[Mode]) -> str | None:
    """Why a job's old turns cannot be shortened; None where they can."""
    if not mode.asks_as_sent:
        return f"orchestration_mode {mode.name!r}: there only what steps hand on is shortened"
    if job.prompts or job.encoder_request is not None:
        return "a prompt without messages"
    if job.choices > 1:
        return "n"
    if _offers_tools(job):
        return "tools, whose calls and results have to stand as they came"
    if not job.template.add_generation_prompt:
        return "add_generation_prompt: false"
    if job.template.continue_final_message:
        return "continue_final_message"
    return None


def _offers_tools(job: Job) -> bool:
    return job.tools is not None and bool(job.tools.offered)


def _require_no_tools(job: Job, mode: str) -> None:
    """Refuse tools in a mode whose steps pass on texts."""
    if not _offers_tools(job):
        return
    name = "functions" if job.tools and job.tools.as_functions else "tools"
    raise ValidationFailed(
        f"{name} goes only with orchestration_mode {DEFAULT_MODE!r}; this request's mode is "
        f"{mode!r}, whose steps pass on texts and call nothing.",
        details={"param": name},
    )


def _require_messages(job: Job, mode: str) -> None:
    """Refuse a caller's own prompt in a mode whose steps have prompts of their own."""
    if not job.prompts:
        return
    raise ValidationFailed(
        f"A prompt without messages goes only with orchestration_mode {DEFAULT_MODE!r}; this "
        f"request's mode is {mode!r}, whose steps have prompts of their own.",
        details={"param": "orchestration_mode"},
    )


def _require_one_answer(job: Job, mode: str) -> None:
    """Refuse several choices in a mode whose steps make one answer together."""
    if job.choices == 1:
        return
    raise ValidationFailed(
        f"n goes only with orchestration_mode {DEFAULT_MODE!r}; this request's mode is {mode!r}, "
        "whose models make one answer together.",
        details={"param": "n"},
    )


def _require_own_prompt_end(job: Job, mode: str) -> None:
    """Refuse to let a message go on in a mode whose steps have conversations of their own."""
    options = job.template
    if options.add_generation_prompt and not options.continue_final_message:
        return
    name = "continue_final_message" if options.continue_final_message else "add_generation_prompt"
    raise ValidationFailed(
        f"{name} goes only with orchestration_mode {DEFAULT_MODE!r}; this request's mode is "
        f"{mode!r}, whose steps have prompts of their own.",
        details={"param": name},
    )
