"""Tuning: try every format of a model on this machine, and keep the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.settings import Settings

if TYPE_CHECKING:
    from workers.engines.llamacpp.tuning import Measured

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
    if spec.backend != "llamacpp":
        raise ModelLoadFailed(f"{spec.id} runs on {spec.backend}; only llamacpp has formats.")
    from workers.engines.llamacpp import tuning
    from workers.engines.llamacpp.engine import usable_cores

    return tuning.measure(
        spec,
        settings.data_dir / "cache",
        threads=settings.engine_threads or usable_cores(),
        rows=min(settings.max_concurrent_per_model, _MOST_ROWS),
        gpu_layers=settings.gpu_layers,
        on_start=on_start,
    )


def choose(found: list[Measured], most_loss: float) -> Measured:
    """The fastest for a usual chat, of those that lose at most `most_loss` nats per token."""
    from workers.engines.llamacpp import tuning

    return tuning.choose(found, most_loss)
