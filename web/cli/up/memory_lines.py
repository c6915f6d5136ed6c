"""The memory plan in words: what `up` prints before it launches, and why it refuses."""

from __future__ import annotations

from typing import Any

from presets.catalogue import Catalogue
from presets.memory.machine import Machine
from presets.memory.plan import Placement, Plan
from workers.contract.job import DEFAULT_MODE
from workers.planning import memory_plan
from workers.settings import Settings

_GB = 10**9
#: Presets that a refusal suggests.
_SUGGESTED = 3


def gb(size_bytes: int) -> str:
    """A size in GB (10^9 bytes), as the catalogue gives sizes."""
    return f"{size_bytes / _GB:.1f}"


def lines(plan: Plan, standby_bytes: int = 0) -> list[str]:
    """One line for each model, and one for all of them; none where no model takes memory.

    `standby_bytes` are kept for the process that waits for a worker's death, and free no longer.
    """
    if not plan.least_bytes:
        return []
    width = max(len(placed.model) for placed in plan.placements)
    kept = f", beside {gb(standby_bytes)} GB for the standby" if standby_bytes else ""
    return [
        f"memory: {_memory(plan.machine)}{kept}",
        *(f"  {placed.model:{width}}  {_line(placed, plan.machine)}" for placed in plan.placements),
        f"  {'total':{width}}  {gb(plan.planned_bytes)} GB, at least {gb(plan.least_bytes)} GB: "
        f"{plan.verdict}",
    ]


def table(plan: Plan) -> dict[str, dict[str, Any]]:
    """The same for programs: by model."""
    return {
        placed.model: {
            "fits": placed.fits,
            "place": _place(placed, plan.machine) if placed.fits else None,
            "memory_gb": float(gb(placed.planned_bytes)),
            "kv_tokens": placed.kv_tokens,
            "context_available": placed.context_available,
            "estimated": placed.demand.footprint.estimated,
        }
        for placed in plan.placements
    }


def refusal(settings: Settings, catalogue: Catalogue, plan: Plan) -> str:
    """What is needed, what there is, and what would do instead."""
    without = ", ".join(placed.model for placed in plan.placements if not placed.fits)
    message = (
        "the models do not fit the memory. With the smallest KV pools they need "
        f"{gb(plan.least_bytes)} GB; there is {_memory(plan.machine)}. These do not fit: {without}."
    )
    mode = DEFAULT_MODE
    if settings.preload_models is None and settings.config is not None:
        mode = catalogue.preset(settings.config).mode
    fitting = memory_plan.fitting(settings, catalogue, mode, plan.machine)
    if fitting:
        names = ", ".join(preset.id for preset in fitting[:_SUGGESTED])
        message += f" Presets of mode {mode} that would fit: {names} (up --preset {fitting[0].id})."
    return message + " `up --force` starts them anyway."


def over_limit(plan: Plan, limit_mb: int) -> str:
    """What is needed, and what the operator lets all models take."""
    return (
        "the models do not fit the memory. With the smallest KV pools they need "
        f"{plan.least_bytes // 2**20} MB; INFERENCE_MEMORY_LIMIT_MB is {limit_mb}. "
        "Raise it, or start fewer with INFERENCE_PRELOAD_MODELS. `up --force` starts them anyway."
    )


def _line(placed: Placement, on: Machine) -> str:
    footprint = placed.demand.footprint
    about = "about " if footprint.estimated else ""
    if not placed.fits:
        least = f"{footprint.least_tokens} tokens"
        bound = placed.demand.memory_fraction
        why = "" if bound is None else f"; its memory_fraction is {bound:g}"
        return f"{about}{gb(footprint.least_bytes)} GB with a KV pool of {least}: no place{why}"
    pool = placed.kv_tokens * footprint.kv_bytes_per_token
    short = "" if placed.kv_tokens >= footprint.wanted_tokens else f" of {footprint.wanted_tokens}"
    cache_bytes = placed.prompt_cache_bytes
    cache = f"; prompt cache up to {gb(cache_bytes)} of RAM" if cache_bytes else ""
    return (
        f"{about}{gb(placed.planned_bytes)} GB: weights {gb(footprint.weights_bytes)}, KV pool "
        f"{gb(pool)} for {placed.kv_tokens}{short} tokens, buffers {gb(footprint.overhead_bytes)}; "
        f"{_place(placed, on)}{cache}; {footprint.concurrency} at once"
    )


def _place(placed: Placement, on: Machine) -> str:
    if not placed.devices:
        return "RAM"
    return "Metal" if on.unified else "GPU " + "+".join(map(str, placed.devices))


def _memory(on: Machine) -> str:
    ram = f"RAM {gb(on.available_bytes)} GB free of {gb(on.total_bytes)}"
    if on.unified:
        return f"{ram}, Metal {gb(on.devices[0].free_bytes)} of them"
    gpus = (
        f"GPU {device.index} {gb(device.free_bytes)} GB free of {gb(device.total_bytes)}"
        for device in on.devices
    )
    return ", ".join([ram, *gpus])
