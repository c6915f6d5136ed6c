"""The hash of a model: of its files, and of what its description changes in its answers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from presets import backends
from presets.backends import Weights
from presets.model import ModelSpec
from presets.weights import file_hash, weight_files
from presets.weights.file_hash import FileState

#: Files beside safetensors that shape answers: configuration, vocabulary, chat template.
_BESIDE = ("*.json", "*.jinja", "*.model", "*.txt")


def files(spec: ModelSpec) -> tuple[Path, ...]:
    """All files that shape a model's answers; none where its engine needs none."""
    found = set(weight_files.files(spec))
    if spec.path is not None and backends.get(spec.backend).weights is Weights.SAFETENSORS:
        found.update(file for pattern in _BESIDE for file in spec.path.glob(pattern))
    return tuple(sorted(found))


def states(spec: ModelSpec) -> tuple[FileState, ...]:
    """What its files have other when they become others.

    Raises:
        OSError: one is not there.
    """
    return tuple(FileState.of(file) for file in files(spec))


def of(spec: ModelSpec, elsewhere: Path) -> str:
    """The hash of a model, in hexadecimal; `elsewhere` as in `file_hash.of`.

    Raises:
        OSError: a file of it cannot be read.
    """
    described = [
        spec.backend,
        spec.id if spec.path is None else "",
        spec.format,
        spec.chat_template,
        spec.tools,
        spec.reasoning and [spec.reasoning.form, spec.reasoning.open, spec.reasoning.close],
        dict(spec.options),
        [[file.name, file_hash.of(file, elsewhere)] for file in files(spec)],
    ]
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
