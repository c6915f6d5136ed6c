"""Loading a worker's engine: its placement, its options, and the model's weights."""

from __future__ import annotations

import logging
import os
import platform
from dataclasses import replace

from redis.exceptions import RedisError

from presets.catalogue import Catalogue
from presets.kind import Kind
from presets.memory.devices import show_only
from presets.memory.plan import Placement
from presets.model import ModelSpec
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker
from workers.contract.errors import InferenceError, ModelLoadFailed
from workers.engines import registry
from workers.engines.base import Engine, EngineOptions, KeptIds
from workers.engines.embedding_engine import EmbeddingEngine
from workers.engines.rerank_engine import RerankEngine
from workers.loading.load_lock import loading_turn
from workers.planning import memory_plan
from workers.settings import Settings
from workers.store import connections

log = logging.getLogger(__name__)


def load_engine(
    settings: Settings,
    catalogue: Catalogue,
    spec: ModelSpec,
    presence: Presence,
    kept_ids: KeptIds | None = None,
    *,
    force: bool,
) -> Engine | EmbeddingEngine | RerankEngine | None:
    """The loaded engine; None where it cannot be loaded, which the worker's presence then says.

    `force` loads it even where it does not fit.
    """
    try:
        with loading_turn(settings.data_dir):
            workers = _workers(settings)
            placement = memory_plan.place(settings, catalogue, spec, workers, force=force)
            presence.placed(_held_bytes(placement, placement.planned_bytes), placement.devices)
            options = replace(engine_options(settings, spec, placement), kept_ids=kept_ids)
            engine = _create(spec, options)
            log.info("loading %s", spec.path or spec.id)
            engine.load(spec, presence.progress)
    except InferenceError as error:
        failure = error
    except Exception as error:
        log.exception("the engine failed to load %s", spec.id)
        failure = ModelLoadFailed(f"{type(error).__name__}: {error}")
    else:
        memory_bytes = _held_bytes(placement, engine.memory_bytes)
        presence.loaded(memory_bytes, engine.context_length, spec.format)
        return engine
    log.error("%s cannot be served: %s", spec.id, failure.message)
    presence.failed(failure)
    return None


def _create(spec: ModelSpec, options: EngineOptions) -> Engine | EmbeddingEngine | RerankEngine:
    match spec.kind:
        case Kind.EMBEDDING:
            return registry.create_embedding(spec.backend, options)
        case Kind.RERANK:
            return registry.create_reranking(spec.backend, options)
        case Kind.GENERATION:
            return registry.create(spec.backend, options)


def engine_options(settings: Settings, spec: ModelSpec, placement: Placement) -> EngineOptions:
    """The engine's options; also sets which devices its libraries see when they are imported.

    CUDA_VISIBLE_DEVICES means the same to every engine, unlike an engine's own option, and keeps
    the process from holding memory on devices that it does not use.
    """
    layers = memory_plan.gpu_layers(settings, spec)
    if placement.demand.device_share and not placement.devices:
        log.warning("no device has enough memory for %s: it runs on the CPU", spec.id)
        layers = 0
    if platform.system() != "Darwin" and (placement.devices or layers == 0):
        show_only(placement.devices, os.environ)
    return EngineOptions(
        concurrency=memory_plan.concurrency(settings, spec),
        cache_dir=settings.data_dir / "cache",
        threads=settings.engine_threads,
        gpu_layers=layers,
        devices=placement.devices,
        memory_fraction=spec.memory_fraction,
        kv_tokens=placement.kv_tokens,
        prompt_cache_bytes=placement.prompt_cache_bytes,
        drafts=settings.drafts,
        prompt_disk_bytes=settings.prompt_cache_disk_mb * 2**20,
    )


def _held_bytes(placement: Placement, model_bytes: int) -> int:
    """What others must leave to a worker: a cache that was asked for grows after the load.

    One that nobody asked for takes what is left, and nothing from others. Beside a model on devices
    it is none of their memory.
    """
    return model_bytes + (0 if placement.devices else placement.demand.prompt_cache_bytes or 0)


def _workers(settings: Settings) -> tuple[Worker, ...]:
    """All workers; none while Redis is away, since loading does not wait for it."""
    try:
        return Directory(connections.client(settings)).workers()
    except RedisError as error:
        log.warning(
            "Redis is unavailable, the model is loaded without knowing of others: %s", error
        )
        return ()
