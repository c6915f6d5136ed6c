"""What an engine uses at this moment; a worker tells it with its presence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.fields import known_fields


@dataclass(frozen=True, slots=True)
class EngineUse:
    """None is what an engine cannot tell."""

    #: Answers in the batch.
    rows: int = 0
    #: Cells of the KV pool that answers take; what two share counts for each.
    kv_cells: int | None = None
    #: Cells that there are: tokens of all answers together.
    most_kv_cells: int | None = None
    #: Host memory in which beginnings of prompts are kept.
    prompt_cache_bytes: int | None = None
    most_prompt_cache_bytes: int | None = None
    #: What of them is kept on disk for this model, and what all models' may take there.
    prompt_disk_bytes: int | None = None
    most_prompt_disk_bytes: int | None = None
    #: Of those, what was written and read since the engine was loaded.
    prompts_written: int = 0
    prompts_restored: int = 0
    #: Answers that left a full pool and resumed later, since the engine was loaded.
    preemptions: int = 0
    #: Tokens that were drafted since then, and those of them that came.
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EngineUse:
        """Rebuild it; fields of a newer version are ignored."""
        return cls(**known_fields(cls, data))
