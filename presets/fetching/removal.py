"""Deleting the files of a model from the models directory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from presets import backends
from presets.backends import Weights
from presets.model import ModelSpec
from presets.weights import weight_files


class NothingToRemove(LookupError):
    """The model has no files that may be deleted; the message says why."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to be deleted of one model."""

    directory: Path
    files: tuple[Path, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes that this frees: a link frees none."""
        return sum(file.stat().st_size for file in self.files if not file.is_symlink())


def plan(spec: ModelSpec, models_dir: Path | None) -> Removal:
    """What a model has in its own directory: its weights, and parts of unfinished downloads.

    Of a directory of safetensors it is every file: a model has more than weights there.

    Raises:
        NothingToRemove: it has none there.
    """
    if models_dir is None:
        raise NothingToRemove(
            "INFERENCE_MODELS_DIR is not set. Set it to the directory of the model files."
        )
    directory = models_dir.absolute() / spec.id
    files: set[Path] = set()
    if not directory.is_symlink():
        files.update(directory.glob(".*.part"), directory.glob(".*.sha256"))
        if backends.get(spec.backend).weights is Weights.SAFETENSORS:
            files.update(directory.iterdir() if directory.is_dir() else ())
        files.update(file for file in weight_files.files(spec) if file.parent == directory)
    present = tuple(sorted(file for file in files if file.is_symlink() or file.is_file()))
    if not present:
        elsewhere = [str(file) for file in weight_files.files(spec) if file.is_file()]
        where = f" Its files are elsewhere: {', '.join(elsewhere)}" if elsewhere else ""
        raise NothingToRemove(f"{spec.id} has no files in {directory}.{where}")
    return Removal(directory, present)


def remove(removal: Removal) -> None:
    """Delete the files, and their directory where nothing else is in it.

    Raises:
        OSError: a file cannot be deleted; those before it are.
    """
    for file in removal.files:
        file.unlink(missing_ok=True)
    with suppress(OSError):  # something else is in it
        removal.directory.rmdir()
