"""What a model can do, as far as its description and its files say. Nothing is loaded."""

from __future__ import annotations

import functools
from pathlib import Path

from presets import backends
from presets.backends import Weights
from presets.model import ModelSpec
from presets.weights import layout, safetensors
from presets.weights.gguf import KNOWS_GAPS

#: In the order in which they are listed. No engine here reads pictures: no model has `vision` until
#: one does.
CAPABILITIES = ("tools", "json", "vision", "embedding", "rerank", "reasoning", "fim")


def of(spec: ModelSpec) -> tuple[str, ...]:
    """The capabilities of a model.

    `tools`: its chat template shows the model what it may call. `json`: answers are held to a JSON
    Schema. `reasoning`: thoughts come apart from the answer. `fim`: it fills gaps. `embedding`: it
    makes vectors of texts, `rerank`: it ranks documents, and nothing else.
    """
    if not spec.kind.writes:
        return (spec.kind.value,)
    backend = backends.get(spec.backend)
    template, fills_gaps = "", backend.fills_gaps
    if spec.path is not None and backend.weights is Weights.GGUF:
        metadata = layout.metadata(spec.path)
        template = str(metadata.get("tokenizer.chat_template", ""))
        fills_gaps = bool(metadata.get(KNOWS_GAPS))
    elif spec.path is not None and backend.weights is Weights.SAFETENSORS:
        template, fills_gaps = _of_directory(spec.path, _changed_ns(spec.path))
    has = {
        "tools": "tools" in (spec.chat_template or template),
        "json": backend.holds_answers,
        "reasoning": spec.reasoning is not None,
        "fim": fills_gaps,
    }
    return tuple(name for name in CAPABILITIES if has.get(name))


@functools.lru_cache(maxsize=64)
def _of_directory(directory: Path, _changed: int) -> tuple[str, bool]:
    """A tokenizer has megabytes: once is enough."""
    return safetensors.chat_template(directory), safetensors.knows_gaps(directory)


def _changed_ns(directory: Path) -> int:
    try:
        return (directory / "tokenizer.json").stat().st_mtime_ns
    except OSError:
        return 0
