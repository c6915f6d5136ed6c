"""Tuning: measure every format of a model's weights on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines import registry
from workers.engines.tuning import Measured, choose
from workers.planning import memory_plan
from workers.settings import Settings

__all__ = ["Measured", "choose", "measure"]

#: Answers that are decoded together where the model's workers answer more at once.
_MOST_ROWS = 16


def measure(
    settings: Settings, spec: ModelSpec, on_start: Callable[[str], None]
) -> Iterator[Measured]:
    """Measure every format of a model, one after the other.

    Raises:
        ModelLoadFailed: the model's engine has no formats, or the file cannot be loaded.
        InsufficientMemory: it does not fit.
    """
    tuner = registry.tuner(spec.backend)
    if tuner is None:
        raise ModelLoadFailed(f"{spec.id} runs on {spec.backend}, which has one format alone.")
    return tuner(
        spec,
        settings.data_dir / "cache",
        threads=settings.engine_threads,
        rows=min(memory_plan.concurrency(settings, spec), _MOST_ROWS),
        gpu_layers=settings.gpu_layers,
        on_start=on_start,
    )
