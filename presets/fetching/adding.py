"""Adding: weights of a user's own become a model of the user's catalogue."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from presets import files
from presets.catalogue import Catalogue
from presets.fetching import description
from presets.model import GgufSource, HfSource, ModelSpec
from presets.schema import MODEL_ID, CatalogueError
from presets.weights import split
from presets.weights.gguf import NotGGUF, Value, context_length, read_metadata
from presets.weights.gguf_kind import reason_against_serving

#: What to do where a name is taken.
_OTHER_ID = "give it another with --id"


class AddError(Exception):
    """The file cannot become a model; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Added:
    """A model that was added, and the file that describes it."""

    spec: ModelSpec
    description: Path


def add(
    file: Path,
    catalogue: Catalogue,
    models_dir: Path,
    catalogue_dir: Path,
    *,
    model_id: str | None = None,
    copy: bool = False,
    source: GgufSource | None = None,
) -> Added:
    """Put a file, or all parts of it, into the models directory, and describe it.

    One that lies there already, in a directory of its own, stays and is only described. `source`
    is where it came from.

    Raises:
        AddError: it is no whole model, or its id cannot be used.
        OSError: one of the directories cannot be written.
    """
    parts = _parts(file)
    metadata = _metadata(parts[0])
    placed = _placed_as(parts[0], models_dir, catalogue_dir)
    model_id = model_id or placed or description.suggested_id(parts[0].name, metadata)
    directory = models_dir / model_id
    described_in = catalogue_dir / "models" / f"{model_id}.yaml"
    if model_id != placed:
        _require_free(model_id, parts[0], catalogue, directory)
    if described_in.exists():
        raise AddError(f"there is a {described_in} already; {_OTHER_ID}")
    text = description.text(model_id, parts, metadata, source)
    with _undone_on_error(directory) as made:
        directory.mkdir(exist_ok=True)
        for part in parts if model_id != placed else ():
            made.append(directory / part.name)
            if copy:
                shutil.copyfile(part, made[-1])
            else:
                made[-1].symlink_to(part.resolve())
        return _described(model_id, text, described_in, catalogue_dir, made)


def describe_safetensors(directory: Path, source: HfSource, catalogue_dir: Path) -> Added:
    """Describe the safetensors in a model's directory, whose name is the model's id.

    Raises:
        AddError: there is a description already, or the catalogue cannot be read with it.
        OSError: the catalogue's directory cannot be written.
    """
    described_in = catalogue_dir / "models" / f"{directory.name}.yaml"
    if described_in.exists():
        raise AddError(f"there is a {described_in} already; {_OTHER_ID}")
    text = description.text_of_safetensors(directory, source)
    with _undone_on_error(directory) as made:
        return _described(directory.name, text, described_in, catalogue_dir, made)


def _described(
    model_id: str, text: str, described_in: Path, catalogue_dir: Path, made: list[Path]
) -> Added:
    described_in.parent.mkdir(exist_ok=True)
    made.append(described_in)
    described_in.write_text(text, encoding="utf-8")
    # The whole catalogue, as the service will read it.
    return Added(files.models(catalogue_dir)[model_id], described_in)


@contextmanager
def _undone_on_error(directory: Path) -> Iterator[list[Path]]:
    """A list of the files that are made; an error removes them, and the directory if it is empty.

    Raises:
        AddError: the catalogue cannot be read with them.
    """
    made: list[Path] = []
    try:
        yield made
    except BaseException as error:
        for path in made:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            directory.rmdir()
        if isinstance(error, CatalogueError):
            raise AddError(str(error)) from None
        raise


def _parts(file: Path) -> list[Path]:
    names = split.parts(file.name)
    parts = [file.with_name(name) for name in names]
    if not file.is_file():
        raise AddError(f"there is no file {file}")
    if gone := [part.name for part in parts if not part.is_file()]:
        raise AddError(
            f"{file.name} is one of {len(parts)} parts, and of the others {', '.join(gone)} "
            f"{'is' if len(gone) == 1 else 'are'} not beside it"
        )
    return parts


def _metadata(file: Path) -> Mapping[str, Value]:
    try:
        metadata = read_metadata(file)
    except NotGGUF as error:
        raise AddError(f"{file} is no usable GGUF: {error}") from None
    if what := reason_against_serving(metadata):
        raise AddError(f"{file} is no language model by its metadata: it is {what}")
    if context_length(metadata) is None:
        kind = metadata.get("general.architecture", "unknown")
        raise AddError(f"{file} is no language model by its metadata ({kind}, without a context)")
    return metadata


def _placed_as(file: Path, models_dir: Path, catalogue_dir: Path) -> str | None:
    """The id of a file that is a model by its directory alone."""
    directory = file.parent.resolve()
    if directory.parent != models_dir.resolve() or directory.name in files.models(catalogue_dir):
        return None
    return directory.name


def _require_free(model_id: str, file: Path, catalogue: Catalogue, directory: Path) -> None:
    if not re.fullmatch(MODEL_ID, model_id):
        raise AddError(
            f"{model_id!r} can be no id, which is letters, digits and . _ -, at most 100; "
            f"{_OTHER_ID}"
        )
    if catalogue.has(model_id):
        known = catalogue.get(model_id)
        # A file elsewhere in the models directory is a model of this name itself.
        if known.path != file.absolute() or file.absolute().parent == directory:
            raise AddError(f"there is a model {known.id!r} already; {_OTHER_ID}")
    if directory.exists() and any(directory.iterdir()):
        raise AddError(f"there is something in {directory} already; {_OTHER_ID}")
