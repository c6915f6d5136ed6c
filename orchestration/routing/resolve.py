"""Which model a request means."""

from __future__ import annotations

from presets.catalogue import Catalogue, UnknownModel, UnknownPreset
from presets.kind import Kind
from presets.model import ModelSpec
from presets.preset import Preset
from workers.cluster.directory import Directory
from workers.cluster.presence import WorkerStatus
from workers.contract.errors import (
    InferenceError,
    InsufficientMemory,
    ModelLoading,
    ModelNotFound,
    NoWorker,
)
from workers.contract.job import Job
from workers.contract.wrong_kind import wrong_kind
from workers.loading.model_state import has_failed
from workers.settings import Settings

#: What a request says instead of a model that any may answer it.
AUTO = "auto"
#: Prefixes under which gateways name our models.
PREFIXES = ("inference:", "local:")
#: Before the name of a preset that a request names instead of a model.
PRESET = "preset:"


def bare(name: str) -> str:
    """A model's name without the prefixes of gateways, in whatever order they stand."""
    while name.startswith(PREFIXES):
        name = name.partition(":")[2]
    return name


def resolve(name: str, catalogue: Catalogue) -> ModelSpec:
    """The model a caller names, with or without a gateway's prefix.

    Raises:
        ModelNotFound: there is none; suggests the nearest.
    """
    name = bare(name)
    try:
        return catalogue.get(name)
    except UnknownModel as unknown:
        details = {"model": name, "suggestion": unknown.suggestion, "param": "model"}
        hint = f" Did you mean {unknown.suggestion!r}?" if unknown.suggestion else ""
        raise ModelNotFound(
            f"There is no model {name!r}.{hint} GET /v1/models lists them.", details=details
        ) from None


def preset(name: str, catalogue: Catalogue) -> Preset | None:
    """The preset that a caller names instead of a model; None where the name is a model's.

    Raises:
        ModelNotFound: there is none; suggests the nearest.
    """
    name = bare(name)
    if not name.startswith(PRESET):
        return None
    try:
        return catalogue.preset(name.removeprefix(PRESET))
    except UnknownPreset as unknown:
        suggestion = unknown.suggestion and PRESET + unknown.suggestion
        hint = f" Did you mean {suggestion!r}?" if suggestion else ""
        raise ModelNotFound(
            f"There is no preset {name!r}.{hint} `inference-service presets list` shows them.",
            details={"model": name, "suggestion": suggestion, "param": "model"},
        ) from None


def require_kind(spec: ModelSpec, kind: Kind) -> None:
    """Refuse a model that does something else than a request asks for.

    Raises:
        WrongModelKind: says where to send it.
    """
    if spec.kind is not kind:
        raise wrong_kind(spec.id, spec.kind)


def kind_for(job: Job) -> Kind:
    """The kind of model that does what a job asks for."""
    if job.embedding is not None:
        return Kind.EMBEDDING
    return Kind.GENERATION if job.reranking is None else Kind.RERANK


def configured(
    settings: Settings, catalogue: Catalogue, directory: Directory
) -> tuple[ModelSpec, ...]:
    """Models that write which the service is to serve, and those that were started beside them.

    Raises:
        redis.RedisError: Redis is away.
    """
    wanted = catalogue.wanted(settings.preload_models, settings.config)
    running = [worker.model for worker in directory.workers() if worker.model]
    known = [catalogue.get(name) for name in (*wanted, *running) if catalogue.has(name)]
    return tuple({spec.id: spec for spec in known if spec.kind.writes}.values())


def require_worker(spec: ModelSpec, directory: Directory, *, on_demand: bool = False) -> None:
    """Refuse a request that no worker would take.

    With `on_demand` a model that is not loaded is as good as one that is: the request waits, and
    the keeper has its model loaded. So does a request whose worker has fallen silent a moment ago.

    Raises:
        ModelLoading: the model is being loaded.
        ModelLoadFailed, InsufficientMemory: it could not be loaded; says why.
        NoWorker: it is not loaded; says how to load it.
        redis.RedisError: Redis is away.
    """
    if directory.serving(spec.id):
        return
    waits = on_demand and directory.can_load(spec.id)
    error = load_error(spec.id, directory)
    if error is not None and not (waits and isinstance(error, InsufficientMemory)):
        raise type(error)(
            f"{spec.id} could not be loaded: {error.message}",
            details={**error.details, "model": spec.id},
            retry_after_ms=error.retry_after_ms,
        )
    if waits or directory.is_expected(spec.id):
        return
    progress = load_progress(spec.id, directory)
    if progress is not None:
        raise ModelLoading(
            f"{spec.id} is being loaded ({progress:.0%}). Try again in a moment.",
            details={"model": spec.id, "progress": progress},
        )
    raise NoWorker(
        f"{spec.id} is not loaded. {how_to_load(spec.id, directory)}", details={"model": spec.id}
    )


def load_progress(model: str, directory: Directory) -> float | None:
    """How much of a model is loaded, 0 to 1; None where it is not being loaded."""
    if directory.is_ordered_unloaded(model):
        return None
    workers = directory.of(model)
    loading = [w.progress for w in workers if w.status is WorkerStatus.LOADING]
    if loading:
        return max(loading)
    ordered = directory.order(model) is not None
    return 0.0 if ordered and not workers and directory.supervised else None


def load_error(model: str, directory: Directory) -> InferenceError | None:
    """Why a model could not be loaded; None where it is loaded, being loaded or not tried."""
    order = directory.order(model)
    if order is not None and order.error is not None:
        return InferenceError.from_dict(order.error)
    workers = directory.of(model)
    if any(worker.status is WorkerStatus.LOADING for worker in workers):
        return None
    failed = next((worker for worker in workers if has_failed(worker, order)), None)
    return InferenceError.from_dict(failed.error) if failed and failed.error else None


def how_to_load(model: str, directory: Directory) -> str:
    """The command that loads a model."""
    if directory.can_load(model):
        return f"Load it with: inference-service load {model}"
    return f"Start a worker of it with: inference-service worker {model}"
