"""What the catalogue says of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model: what it is called, where its file is, what it can take."""

    id: str
    #: The GGUF file; None where the engine needs none (`scripted`).
    path: Path | None
    #: The most tokens, prompt and completion, one request may use.
    context_length: int
    #: The primary role first.
    roles: tuple[str, ...] = ("primary",)
    #: Name of the engine that runs it, as in `workers.engines.registry`.
    backend: str = "llamacpp"
    #: A chat template (Jinja) that replaces the file's own.
    chat_template: str | None = None
    #: The format the file is requantised to at its first load, e.g. `q8_0`; None: used as it is.
    requantise: str | None = None
    #: The format of the file itself, as its metadata say; None where they do not.
    file_format: str | None = None
    #: What only this model's engine understands.
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def format(self) -> str | None:
        """The format of the weights that its engine runs."""
        return self.requantise or self.file_format
