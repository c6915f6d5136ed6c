"""The GGUF files of a models directory: which is which model's, and why the others are none.

A file is a model by its own name, or by that of its directory: `<models dir>/<id>.gguf`,
`<models dir>/<id>/*.gguf`, `<models dir>/<user>/<id>/*.gguf`.
"""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from presets.schema import MODEL_ID
from presets.weights import split
from presets.weights.gguf import NotGGUF, Value, read_metadata
from presets.weights.gguf_kind import reason_against_serving

_MODEL_ID = re.compile(MODEL_ID)
_SUFFIX = ".gguf"
#: Directories below the models directory in which models are; `<user>/<model>` is the deepest.
_DEPTH = 2
#: How much deeper is looked, only to say what lies there.
_SEEN_DEPTH = 4


@dataclass(frozen=True, slots=True)
class UnservedFile:
    """A file of weights that no model is made of."""

    path: Path
    #: Completes "it is not served: ...".
    reason: str


def weights_in(directory: Path) -> list[Path]:
    """The files of weights in a directory; a split one counts once, by its first part, there or
    not.
    """
    try:
        names = [file.name for file in directory.iterdir() if is_weights(file)]
    except OSError:
        return []
    return [directory / name for name in sorted({split.first_part(name) for name in names})]


def is_weights(file: Path) -> bool:
    """Whether a path is that of a GGUF file, by its name in whatever case."""
    return file.name.lower().endswith(_SUFFIX) and not file.is_dir()


def problem(file: Path) -> str | None:
    """Why a file of weights is no model; None: it is one, or its worker must say."""
    if file.is_symlink() and not file.exists():
        return "it is a link to a file that is not there"
    if not split.is_readable(file.name):
        return (
            "it is a part of a split file, and llama.cpp finds those only by names such as "
            "name-00001-of-00002.gguf"
        )
    what = reason_against_serving(metadata(file))
    return f"it is {what}" if what else None


def metadata(file: Path) -> Mapping[str, Value]:
    """The file's metadata; none where it has none that can be read: its worker says why."""
    try:
        status = file.stat()
    except OSError:
        return {}
    if not stat.S_ISREG(status.st_mode):
        return {}
    return _metadata_of(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _metadata_of(file: Path, _mtime_ns: int, _size: int) -> Mapping[str, Value]:
    """A vocabulary takes a fraction of a second to walk over: once is enough."""
    try:
        return read_metadata(file)
    except (NotGGUF, OSError):
        return {}


def models_in(directory: Path) -> list[Path]:
    """The files of weights in a directory that are models."""
    return [file for file in weights_in(directory) if problem(file) is None]


def directories(models_dir: Path) -> Iterator[Path]:
    """Directories of which each may be one model's, in their order; hidden ones are left out."""
    for depth, directory in _walk(models_dir, 0):
        if 0 < depth <= _DEPTH:
            yield directory


def model_id(path: Path) -> str:
    """What a file in the models directory itself is called as a model."""
    return split.stem(path.name)


def problem_of_id(name: str, is_taken: Callable[[str], bool]) -> str | None:
    """Why nothing can be a model of this name; None: it can."""
    if not _MODEL_ID.fullmatch(name):
        return f"{name!r} is no model id, which has letters, digits, '.', '_', '-' only; rename it"
    if is_taken(name):
        return f"another model is called {name}; rename it"
    return None


def unserved(models_dir: Path, served: frozenset[Path]) -> Iterator[UnservedFile]:
    """The files of weights that are not among those served, each with the reason."""
    taken = {path.parent for path in served} - {models_dir}
    names = {model_id(path) if path.parent == models_dir else path.parent.name for path in served}
    for depth, directory in _walk(models_dir, 0):
        for file in weights_in(directory):
            if file in served:
                continue
            reason = problem(file)
            if reason is None and depth > _DEPTH:
                reason = f"it lies deeper than {_DEPTH} directories; move it up"
            if reason is None and directory in taken:
                reason = "a directory is one model, and another file in it is that"
            if reason is None:
                name = model_id(file) if directory == models_dir else directory.name
                reason = problem_of_id(name, names.__contains__)
            yield UnservedFile(file, reason or "its name is that of a described model")


def _walk(directory: Path, depth: int) -> Iterator[tuple[int, Path]]:
    """A directory and those below it, with how deep each is."""
    yield depth, directory
    if depth == _SEEN_DEPTH:
        return
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return
    for name in names:
        if not name.startswith("."):
            yield from _walk(directory / name, depth + 1)
