"""The memory plan of this installation: models as settings have them, on the machine at hand.

`plan` is the one plan that `up`, the command line, `/v1/models` and every worker go by.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import psutil

from presets import backends, parallelism
from presets.backends import Offload, Weights
from presets.catalogue import Catalogue
from presets.memory import concurrency as concurrency_
from presets.memory import footprint, machine
from presets.memory import plan as plan_
from presets.memory.machine import Machine, Taken
from presets.memory.plan import Placement, Plan
from presets.memory.pools import Demand
from presets.model import ModelSpec
from presets.preset import Preset
from presets.weights import weight_files
from workers.cluster.presence import Worker
from workers.cluster.supervision import is_supervised
from workers.contract.errors import InsufficientMemory, ModelLoadFailed
from workers.settings import Settings

_MB = 2**20
#: What the process takes in which `up` waits with the imports of a worker done: Python, Celery and
#: llama-cpp-python took 66 MB on Linux.
STANDBY_BYTES = 100 * _MB
#: Requests for vectors or rankings that one worker works on at once: they keep nothing, and a batch
#: that is made of many of them is full.
ENCODER_REQUESTS = 32


def plan(settings: Settings, specs: Iterable[ModelSpec], on: Machine) -> Plan:
    """Where each model would be placed on a machine, and how large its KV pool would be."""
    return plan_.make([_demand(settings, spec, on) for spec in specs], on)


def needed_bytes(settings: Settings, spec: ModelSpec) -> int:
    """The least memory with which a model can be loaded.

    Weights, buffers, the least KV pool, and the prompt cache that was asked for.
    """
    asked_for = _prompt_cache_bytes(settings, spec) or 0
    return round(_part_here(spec) * _footprint(settings, spec).least_bytes) + asked_for


def free_bytes(settings: Settings, spec: ModelSpec, workers: Iterable[Worker]) -> int:
    """The most memory that a model could have on this machine beside what `workers` hold."""
    now = at_hand(workers)
    return plan_.free_bytes(_demand(settings, spec, now), now)


def standby_bytes(settings: Settings) -> int:
    """What of the RAM is for the process in which `up` waits for a worker's death."""
    return STANDBY_BYTES if settings.standby else 0


def at_hand(workers: Iterable[Worker] = ()) -> Machine:
    """This machine as it is now, beside what the models of `workers` on it take."""
    return machine.read().beside(_taken(_here(workers)))


def place(
    settings: Settings,
    catalogue: Catalogue,
    spec: ModelSpec,
    workers: Sequence[Worker],
    *,
    force: bool = False,
) -> Placement:
    """Where a worker loads its model now, and how large its KV pool is.

    Every worker plans all models that are wanted or loaded, and takes its own part of that plan,
    never more than is free. So the result does not depend on which model is loaded first. Where
    not all models fit, or its part is not free, the model is planned alone.

    `force` places it even where it does not fit. So does a missing file: the engine then says what
    is missing.

    Raises:
        InsufficientMemory: not even weights and the least KV pool fit; gives the numbers.
        ModelLoadFailed: a device that it is to run on is not there, or its engine cannot use it.
    """
    here = _here(workers)
    kept_bytes = standby_bytes(settings) if is_supervised() else 0
    taken, read = _taken(here), machine.read().keeping(kept_bytes)
    _require_devices(spec, read)
    now = read.beside(taken)
    wanted = catalogue.wanted(settings.preload_models, settings.config)
    ids = dict.fromkeys([*wanted, *(w.model for w in here if w.model), spec.id])
    known = {catalogue.get(name).id: catalogue.get(name) for name in ids if catalogue.has(name)}
    specs = {**known, spec.id: spec}.values()  # in one order for every worker
    whole = plan(settings, specs, read.without(taken)).of(spec.id)
    if whole.fits:
        (free,) = plan_.make([whole.pinned()], now).placements
        if free.fits:
            return replace(
                whole,
                kv_tokens=min(whole.kv_tokens, free.kv_tokens),
                prompt_cache_bytes=min(whole.prompt_cache_bytes, free.prompt_cache_bytes),
            )
    (alone,) = plan(settings, [spec], now).placements
    if alone.fits:
        return alone
    demand = _demand(settings, spec, now)
    fetches = backends.get(spec.backend).fetches_weights
    missing = weight_files.missing(spec) and not fetches
    if force or missing:  # the engine says which file is missing
        return plan_.forced(demand, now)
    raise _refusal(demand, plan_.free_bytes(demand, now))


def fitting(settings: Settings, catalogue: Catalogue, mode: str, on: Machine) -> list[Preset]:
    """The presets of a mode that fit a machine, the largest first."""
    plans = {
        preset.id: plan(settings, map(catalogue.get, preset.models), on)
        for preset in catalogue.presets()
        if preset.mode == mode
    }
    fit = [name for name, plan_of_preset in plans.items() if plan_of_preset.fits]
    fit.sort(key=lambda name: -plans[name].least_bytes)
    return [catalogue.preset(name) for name in fit]


def concurrency(settings: Settings, spec: ModelSpec) -> int:
    """Requests that a worker of this model answers at once."""
    chosen = spec.options.get("concurrency", settings.max_concurrent_per_model)
    if chosen is not None:
        return int(chosen)
    if not spec.kind.writes:
        return ENCODER_REQUESTS
    if backends.get(spec.backend).weights is Weights.NONE:
        return 1
    one = footprint.of(spec, 1, settings.data_dir / "cache")
    request_bytes = footprint.KV_TOKENS_PER_REQUEST * one.kv_bytes_per_token
    return concurrency_.choose(request_bytes, machine.total_bytes(), machine.cores())


def _prompt_cache_bytes(settings: Settings, spec: ModelSpec) -> int | None:
    """What is set for its prompt cache; None: a part of what is left."""
    if not spec.kind.writes or not backends.get(spec.backend).caches_prompts:
        return 0
    return None if settings.prompt_cache_mb is None else settings.prompt_cache_mb * _MB


def gpu_layers(settings: Settings, spec: ModelSpec) -> int:
    """Layers of it that are meant for a device; -1: all."""
    return settings.gpu_layers if spec.gpu_layers is None else spec.gpu_layers


def _footprint(settings: Settings, spec: ModelSpec) -> footprint.Footprint:
    return footprint.of(spec, concurrency(settings, spec), settings.data_dir / "cache")


def _demand(settings: Settings, spec: ModelSpec, on: Machine) -> Demand:
    backend = backends.get(spec.backend)
    needs = _footprint(settings, spec)
    return Demand(
        footprint=needs,
        device_share=_device_share(settings, spec, needs.layers, on),
        devices=spec.devices if backend.uses_devices else (),
        memory_fraction=spec.memory_fraction,
        falls_back_to_ram=backend.falls_back_to_ram,
        **_parts(spec),
        prompt_cache_bytes=_prompt_cache_bytes(settings, spec),
    )


def _parts(spec: ModelSpec) -> dict[str, Any]:
    """Into what it is cut, in the words of a `Demand`."""
    if not backends.get(spec.backend).cuts_evenly:
        return {}
    parallel = parallelism.of(spec.options)
    named = len(spec.devices) if parallel.parts is None else parallel.parts
    stages = named or (parallel.pipeline if parallel.pipeline > 1 else 0)
    return {"parts": stages, "many_hosts": parallel.many_hosts}


def _part_here(spec: ModelSpec) -> float:
    """The part of a model that this host has: all of it, unless others have parts."""
    cut = _parts(spec)
    if not cut.get("many_hosts") or not spec.devices:
        return 1.0
    return min(1.0, len(spec.devices) / int(cut["parts"]))


def _require_devices(spec: ModelSpec, on: Machine) -> None:
    backend = backends.get(spec.backend)
    if not spec.devices or not backend.uses_devices:
        return
    there = [device.index for device in on.devices]
    for device in spec.devices:
        if device not in there:
            known = ", ".join(map(str, there)) or "none"
            raise ModelLoadFailed(
                f"{spec.id} is to run on device {device}, which is not there; there is: {known}."
            )
    if backend.build_hint and not machine.can_offload(on, backend):
        raise ModelLoadFailed(
            f"{spec.id} is to run on device {spec.devices[0]}, but {backend.build_hint}."
        )


def _device_share(settings: Settings, spec: ModelSpec, layers: int, on: Machine) -> float:
    """The part of a model that is meant for a device."""
    backend = backends.get(spec.backend)
    if not machine.can_offload(on, backend):
        return 0.0
    if backend.offload is Offload.WHOLE:
        return 1.0
    asked = gpu_layers(settings, spec)
    return min(1.0, asked / layers) if asked >= 0 and layers else float(asked != 0)


def _here(workers: Iterable[Worker]) -> list[Worker]:
    """Other workers of this machine that still live: presence outlives a process by seconds."""
    host = socket.gethostname()
    return [
        worker
        for worker in workers
        if worker.host == host and worker.pid != os.getpid() and psutil.pid_exists(worker.pid)
    ]


def _taken(workers: Iterable[Worker]) -> Taken:
    """Bytes that models take of each memory. One on a discrete device takes hardly any RAM."""
    taken: Taken = Counter()
    for worker in workers:
        for device in worker.devices or (None,):
            taken[device] += worker.memory_bytes // (len(worker.devices) or 1)
    return taken


def _refusal(demand: Demand, free: int) -> InsufficientMemory:
    needs = demand.footprint
    kv_pool = needs.least_tokens * needs.kv_bytes_per_token
    on_devices = demand.device_share and not demand.falls_back_to_ram
    where = "of the devices' memory" if on_devices else "are free"
    fraction = demand.memory_fraction
    bound = "" if fraction is None else f" (its memory_fraction is {fraction:g})"
    cache_bytes = demand.prompt_cache_bytes or 0
    cache = f", the prompt cache {cache_bytes // _MB}" if cache_bytes else ""
    needed = needs.least_bytes + cache_bytes
    return InsufficientMemory(
        f"{needs.model} needs {needed // _MB} MB: weights {needs.weights_bytes // _MB}, "
        f"the least KV pool of {needs.least_tokens} tokens {kv_pool // _MB}, buffers "
        f"{needs.overhead_bytes // _MB}{cache}. {free // _MB} MB {where}{bound}.",
        details={
            "model": needs.model,
            "needed_mb": needed // _MB,
            "available_mb": free // _MB,
        },
    )
