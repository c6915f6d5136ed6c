"""A description of a model, written from its file's metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from presets.model import GgufSource, HfSource
from presets.weights import safetensors, split
from presets.weights.gguf import Value, context_length
from presets.weights.gguf_kind import kind_of

#: The format at the end of a file's name, e.g. `-Q4_K_M` or `.f16`: no part of the model's name.
_FORMAT = re.compile(r"[-._](i?q\d\w*|b?f(p)?(16|32)|mxfp4\w*|ud)$", re.IGNORECASE)
#: Names of files that say nothing of the model.
_NAMELESS = ("model", "ggml-model", "weights", "gguf", "unnamed")
#: Tags around what a model thinks, as chat templates have them.
_TAGS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
#: What only a template of gpt-oss' channels has.
_HARMONY = "<|channel|>"
#: No honest name is longer.
_LONGEST_NAME = 200
#: Up to this size a model is quick on a laptop: that of the catalogue's own fast one.
_FAST_BYTES = 2_500_000_000
#: From this on a context counts as long.
_LONG_CONTEXT = 65_536
#: Context of a model whose configuration does not say how long it is.
_UNKNOWN_CONTEXT = 4096


def suggested_id(name: str, metadata: Mapping[str, Value]) -> str:
    """What a model may be called: its file's name without the format, else its own name."""
    stem = split.stem(name)
    while (shorter := _FORMAT.sub("", stem)) != stem:
        stem = shorter
    if stem.lower() in _NAMELESS:
        stem = str(metadata.get("general.name", stem))
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:100]


def text(
    model_id: str,
    parts: list[Path],
    metadata: Mapping[str, Value],
    source: GgufSource | None = None,
) -> str:
    """The YAML that describes a model in these files, for a person to go on with."""
    size = sum(part.stat().st_size for part in parts)
    reasoning = _reasoning(metadata)
    from_hub = {"repo": source.repo, "file": source.file} if source else None
    entry: dict[str, Any] = {
        "id": model_id,
        "sources": {"gguf": from_hub or {"file": parts[0].name}},
        "size_gb": round(size / 1e9, 3),
        "context_length": context_length(metadata),
    }
    kind = kind_of(metadata)
    if kind.writes:
        length = context_length(metadata) or 0
        reasons = reasoning is not None
        entry["roles"] = _roles(model_id, size, metadata, length, reasons=reasons)
    else:
        entry["kind"] = kind.value
    if reasoning is not None:
        entry["reasoning"] = reasoning
    if name := _shown_name(metadata):
        entry["notes"] = name
    return _yaml(entry, "pull" if source else "models add")


def text_of_safetensors(directory: Path, source: HfSource) -> str:
    """The YAML that describes the safetensors in a directory of the model's id."""
    size = sum(file.stat().st_size for file in safetensors.files(directory))
    trained = safetensors.context_length(directory, _UNKNOWN_CONTEXT)
    entry = {
        "id": directory.name,
        "sources": {"hf": {"repo": source.repo}},
        "size_gb": round(size / 1e9, 3),
        "context_length": trained,
        "roles": _roles(directory.name, size, {}, trained, reasons=False),
    }
    return _yaml(entry, "pull")


def _yaml(entry: Mapping[str, Any], command: str) -> str:
    body = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return (
        f"# Written by `inference-service {command}` from the file's metadata. The context is\n"
        "# what the model was trained on; a shorter one takes less memory.\n" + body
    )


def _shown_name(metadata: Mapping[str, Value]) -> str:
    """The model's own name as a terminal may show it: a file's metadata are its maker's."""
    name = str(metadata.get("general.name", ""))[:_LONGEST_NAME]
    return "".join(character for character in name if character.isprintable()).strip()


def _reasoning(metadata: Mapping[str, Value]) -> str | dict[str, str] | None:
    template = str(metadata.get("tokenizer.chat_template", ""))
    if _HARMONY in template:
        return "harmony"
    for opening, closing in _TAGS:
        if opening in template or closing in template:
            return {"open": opening, "close": closing}
    return None


def _roles(
    model_id: str,
    size_bytes: int,
    metadata: Mapping[str, Value],
    context: int,
    *,
    reasons: bool,
) -> list[str]:
    roles = ["primary"]
    if "cod" in f"{model_id} {metadata.get('general.name', '')}".lower():
        roles.insert(0, "coder")
    if reasons:
        roles.append("thinker")
    if size_bytes <= _FAST_BYTES:
        roles.append("fast")
    if context >= _LONG_CONTEXT:
        roles.append("longctx")
    return roles
