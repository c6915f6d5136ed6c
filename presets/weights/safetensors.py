"""What can be known of a directory of safetensors without an engine."""

from __future__ import annotations

import json
from pathlib import Path

from presets.weights.infill_tokens import INFILL_TOKENS


def files(directory: Path) -> tuple[Path, ...]:
    """The files of a model in this directory, there or not: its configuration, and weights."""
    weights = sorted(directory.glob("*.safetensors"))
    return (directory / "config.json", *(weights or [directory / "model.safetensors"]))


def holds_model(directory: Path) -> bool:
    """Whether all of a model is there."""
    return all(file.is_file() for file in files(directory))


def is_of_sentence_transformers(directory: Path) -> bool:
    """Whether the library sentence-transformers has written it, with how its texts are pooled."""
    return (directory / "modules.json").is_file()


def classifies(directory: Path) -> bool:
    """Whether its configuration says that the model has a head for classes or scores."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        names = config.get("architectures") or ()
    except (OSError, ValueError, AttributeError):
        return False
    return any(str(name).endswith("ForSequenceClassification") for name in names)


def context_length(directory: Path, unknown: int) -> int:
    """Tokens the model was trained for, as its configuration says; `unknown` where it does not."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        length = config.get("text_config", config).get("max_position_embeddings", unknown)
    except (OSError, ValueError, AttributeError):
        return unknown
    return length if isinstance(length, int) and length > 0 else unknown


def chat_template(directory: Path) -> str:
    """The chat template, in a file of its own or among the tokenizer's settings; "" without one."""
    try:
        return (directory / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, ValueError):
        pass
    try:
        settings = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))
        return json.dumps(settings.get("chat_template") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def knows_gaps(directory: Path) -> bool:
    """Whether the tokenizer has the marks of gaps that the model fills."""
    try:
        tokens = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
        names = {token["content"] for token in tokens["added_tokens"]}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return False
    return any(names.issuperset(family) for family in INFILL_TOKENS)
