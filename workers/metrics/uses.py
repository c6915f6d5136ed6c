"""What engines use, as metrics: the sum over all workers of a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from workers.contract.engine_use import EngineUse

#: Field of `EngineUse` -> name and meaning. What it counts itself is no gauge: `preemptions`,
#: `prompts_written`, `prompts_restored`.
GAUGES = {
    "rows": ("inference_batch_rows", "Answers that are in the batch."),
    "kv_cells": (
        "inference_kv_cells",
        "Cells of the KV pool that answers take; what two share counts for each.",
    ),
    "most_kv_cells": ("inference_kv_cells_limit", "Cells of the KV pool."),
    "prompt_cache_bytes": (
        "inference_prompt_cache_bytes",
        "Host memory in which beginnings of prompts are kept.",
    ),
    "most_prompt_cache_bytes": (
        "inference_prompt_cache_limit_bytes",
        "Host memory that kept beginnings of prompts may take.",
    ),
    "prompt_disk_bytes": (
        "inference_prompt_disk_bytes",
        "Prompts that are kept on disk; each worker of a model counts all that are there.",
    ),
    "most_prompt_disk_bytes": (
        "inference_prompt_disk_limit_bytes",
        "What the prompts of all models may take on disk.",
    ),
}


def families(uses: Iterable[tuple[str, EngineUse]]) -> Iterator[Metric]:
    """The gauges of these engines, each with its model; what no engine can tell has no value."""
    sums: dict[str, dict[str, float]] = defaultdict(dict)
    for model, use in uses:
        for field in GAUGES:
            value = getattr(use, field)
            if value is not None:
                sums[field][model] = sums[field].get(model, 0.0) + value
    for field, (name, meaning) in GAUGES.items():
        gauge = GaugeMetricFamily(name, meaning, labels=("model",))
        for model, value in sorted(sums[field].items()):
            gauge.add_metric((model,), value)
        yield gauge
