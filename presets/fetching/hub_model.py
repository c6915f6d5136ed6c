"""A model of the hub that no file of the catalogue describes: its files, and its id here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from presets.catalogue import Catalogue
from presets.fetching import description, variants
from presets.fetching.hub import Hub
from presets.fetching.reference import Reference
from presets.fetching.repository import HubFile, PullError, gguf_files, safetensors_files
from presets.model import GgufSource, HfSource, ModelSpec
from presets.schema import MODEL_ID
from presets.weights.gguf import NotGGUF, read_beginning
from presets.weights.gguf_kind import reason_against_serving

#: What publishers put behind a model's name.
_FORM = re.compile(r"[-_.](gguf|ggml)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HubModel:
    """What is to be fetched, and what it is called here."""

    id: str
    source: GgufSource | HfSource
    files: tuple[HubFile, ...]


def find_gguf(
    hub: Hub, reference: Reference, catalogue: Catalogue, models_dir: Path, model_id: str | None
) -> HubModel:
    """The GGUF model that a name of the hub stands for, under `model_id` or a name of its own.

    The first megabyte of it is read, so that what is no model is refused before the rest comes.

    Raises:
        PullError: there is none, it is no model, or its id is another model's.
    """
    listed = hub.files(reference.repo)
    variant = variants.choose(listed, reference.repo, reference.variant)
    files = gguf_files(listed, reference.repo, variant.name)
    _require_model(hub, files[0])
    source = GgufSource(reference.repo, variant.name)
    title = _FORM.sub("", PurePosixPath(reference.repo).name)
    own = description.suggested_id(files[0].local_name, {"general.name": title})
    names = [own, f"{own}-{(variant.quantisation or '').lower()}".rstrip("-")]
    names = [model_id] if model_id else _known_as(catalogue, source) or names
    return HubModel(_free_id(names, source, files, catalogue, models_dir), source, files)


def find_safetensors(
    hub: Hub, reference: Reference, catalogue: Catalogue, models_dir: Path, model_id: str | None
) -> HubModel:
    """The safetensors of a repository, under `model_id` or the repository's name.

    Raises:
        PullError: it has none, or the id is another model's.
    """
    if reference.variant is not None:
        raise PullError(f"{reference.repo} is fetched whole: {reference.variant} names a GGUF file")
    files = safetensors_files(hub.files(reference.repo), reference.repo)
    source = HfSource(reference.repo)
    own = description.suggested_id(PurePosixPath(reference.repo).name, {})
    names = [model_id] if model_id else _known_as(catalogue, source) or [own]
    return HubModel(_free_id(names, source, files, catalogue, models_dir), source, files)


def _require_model(hub: Hub, file: HubFile) -> None:
    try:
        metadata = read_beginning(hub.beginning(file))
    except NotGGUF as error:
        raise PullError(f"{file.name} of {file.repo} is no GGUF file: {error}") from None
    if what := reason_against_serving(metadata):
        raise PullError(f"{file.name} of {file.repo} is {what}")


def _known_as(catalogue: Catalogue, source: GgufSource | HfSource) -> list[str]:
    """The id of the model that comes from there, where the catalogue has one."""
    return [spec.id for spec in catalogue.all() if source in (spec.gguf, spec.hf)][:1]


def _free_id(
    names: list[str],
    source: GgufSource | HfSource,
    files: tuple[HubFile, ...],
    catalogue: Catalogue,
    models_dir: Path,
) -> str:
    """The first of the names that is nobody's, or this very model's from an earlier time."""
    for name in names:
        if not re.fullmatch(MODEL_ID, name):
            raise PullError(
                f"{name!r} can be no id, which is letters, digits and . _ -, at most 100; "
                "give it another with --id"
            )
        directory = models_dir / name
        if catalogue.has(name):
            known = catalogue.get(name)
            free = known.id == name and _is_same(known, source, directory / files[0].local_name)
        else:
            free = not _holds_others(directory, {file.local_name for file in files})
        if free:
            return name
    raise PullError(f"there is another model {names[-1]!r} already; give this one an id with --id")


def _is_same(known: ModelSpec, source: GgufSource | HfSource, first: Path) -> bool:
    if known.gguf is None and known.hf is None:  # it is a model by its place alone
        return known.path in (first, first.parent)
    return source in (known.gguf, known.hf)


def _holds_others(directory: Path, names: set[str]) -> bool:
    """Whether somebody else's files are there; hidden ones are unfinished downloads."""
    if not directory.is_dir():
        return directory.exists()
    return any(not p.name.startswith(".") and p.name not in names for p in directory.iterdir())
