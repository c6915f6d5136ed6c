"""The catalogue: every model that this installation could run, and the presets of them.

Models are described by files (`presets/models/`, and a user's own over them); beside those
`<models dir>/<id>/*.gguf` is model `<id>`, with context and template from its own metadata.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from presets import files
from presets.gguf import NotGGUF, Scalar, file_format, read_metadata
from presets.model import ModelSpec
from presets.preset import Preset
from presets.schema import MODEL_ID

log = logging.getLogger(__name__)

#: The model of those who bring none.
SHIPPED = "smollm2-135m"
_MODEL_ID = re.compile(MODEL_ID)
#: Part of a file that is split, e.g. `phi-00002-of-00003.gguf`: the engine finds it itself.
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
#: Context of a model whose file does not say how long it is.
_UNKNOWN_CONTEXT = 4096


class UnknownModel(LookupError):
    """The catalogue has no such model."""

    def __init__(self, name: str, suggestion: str | None) -> None:
        self.name = name
        self.suggestion = suggestion
        hint = f"; did you mean {suggestion!r}?" if suggestion else ""
        super().__init__(f"there is no model {name!r}{hint}")


class UnknownPreset(LookupError):
    """The catalogue has no such preset."""

    def __init__(self, name: str, suggestion: str | None) -> None:
        hint = f"; did you mean {suggestion!r}?" if suggestion else ""
        super().__init__(
            f"there is no preset {name!r}{hint}; inference-service presets list shows them"
        )


class Catalogue:
    """Models by id, in the order they were found: described ones first."""

    def __init__(
        self, specs: Iterable[ModelSpec], presets: Mapping[str, Preset] | None = None
    ) -> None:
        self._specs = {spec.id: spec for spec in specs}
        self._aliases = {alias: spec.id for spec in self._specs.values() for alias in spec.aliases}
        self._presets = dict(presets or {})

    @classmethod
    def load(
        cls,
        models_dir: Path | None,
        backend: str,
        roles: Mapping[str, tuple[str, ...]] | None = None,
        formats: Mapping[str, str | None] | None = None,
        own: Path | None = None,
    ) -> Catalogue:
        """Read the catalogue's files, those in `own` over the shipped ones, and `models_dir`.

        `backend` runs the models that name no engine; `roles` and `formats` (the
        format to requantise to) replace those of single models.
        A file that is no GGUF is kept: its worker tells why it cannot be loaded.

        Raises:
            presets.schema.CatalogueError: a file is wrong; names file, entry and field.
        """
        described = files.models(own)
        specs = {
            spec.id: _settled(spec, models_dir, spec.backend or backend)
            for spec in described.values()
        }
        specs |= {spec.id: spec for spec in _found_in(models_dir, backend, specs)}
        models = [
            replace(
                spec,
                roles=(roles or {}).get(spec.id, spec.roles),
                requantise=(formats or {}).get(spec.id, spec.requantise),
            )
            for spec in specs.values()
        ]
        return cls(models, files.presets(own, specs))

    def get(self, name: str) -> ModelSpec:
        """The model of this name.

        Raises:
            UnknownModel: there is none; suggests the nearest.
        """
        try:
            return self._specs[self._aliases.get(name, name)]
        except KeyError:
            raise UnknownModel(name, _nearest(name, [*self._specs, *self._aliases])) from None

    def preset(self, name: str) -> Preset:
        """The preset of this name, in whatever case.

        Raises:
            UnknownPreset: there is none; suggests the nearest.
        """
        by_name = {known.lower(): preset for known, preset in self._presets.items()}
        try:
            return by_name[name.lower()]
        except KeyError:
            raise UnknownPreset(name, _nearest(name, self._presets)) from None

    def presets(self) -> tuple[Preset, ...]:
        """Every preset."""
        return tuple(self._presets.values())

    def has(self, name: str) -> bool:
        """Whether there is a model of this name."""
        return self._aliases.get(name, name) in self._specs

    def all(self) -> tuple[ModelSpec, ...]:
        """Every model."""
        return tuple(self._specs.values())

    def wanted(self, preload: tuple[str, ...] | None, preset: str | None = None) -> tuple[str, ...]:
        """The models that the service starts with.

        Those in `preload`; else those of the preset; else the smallest file in the models
        directory; else the shipped one.

        Raises:
            UnknownPreset: there is no such preset.
        """
        if preload is not None:
            return preload
        if preset is not None:
            return self.preset(preset).models
        own = [
            spec
            for spec in self.present
            if spec.path is not None and not spec.id.startswith(SHIPPED)
        ]
        if not own:
            return (SHIPPED,)
        return (min(own, key=lambda spec: (self.estimate_bytes(spec), spec.id)).id,)

    @cached_property
    def present(self) -> tuple[ModelSpec, ...]:
        """Models whose file is there, or that need none."""
        return tuple(
            spec for spec in self._specs.values() if spec.path is None or spec.path.is_file()
        )

    def estimate_bytes(self, spec: ModelSpec) -> int:
        """Memory a model will take before it was ever loaded: the size of its weights."""
        if spec.path is None:
            return 0
        if not spec.path.is_file():
            return spec.size_bytes
        return sum(part.stat().st_size for part in _parts(spec.path))


def _nearest(name: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return near[0] if near else None


def _settled(spec: ModelSpec, models_dir: Path | None, backend: str) -> ModelSpec:
    """A described model with its engine and its file: what its directory has, whatever its name."""
    if backend == "scripted":
        return replace(spec, backend=backend, path=None, requantise=None)
    if spec.path is not None:
        return replace(spec, backend=backend)
    directory = (models_dir or Path()) / spec.id
    expected = directory / (spec.gguf.file if spec.gguf else f"{spec.id}.gguf")
    there = _first_parts(directory)
    if not there or models_dir is None:
        return replace(spec, backend=backend, path=expected)
    path = expected if expected in there else there[0]
    metadata = _metadata(path)
    return replace(
        spec,
        backend=backend,
        path=path,
        context_length=min(spec.context_length, _context_length(metadata, spec.context_length)),
        file_format=file_format(metadata),
    )


def _first_parts(directory: Path) -> list[Path]:
    """The models in a directory; a split file counts once."""
    return [file for file in sorted(directory.glob("*.gguf")) if not _LATER_PART.search(file.name)]


def _found_in(
    models_dir: Path | None, backend: str, described: Mapping[str, ModelSpec]
) -> Iterator[ModelSpec]:
    """Models that only their directory describes."""
    if models_dir is None or not models_dir.is_dir():
        return
    for directory in sorted(models_dir.iterdir()):
        known = directory.name in described or directory.name.startswith(".")
        if known or not directory.is_dir():
            continue
        found = _first_parts(directory)
        if not found:
            continue
        if not _MODEL_ID.fullmatch(directory.name):
            log.warning("%s is no model id: letters, digits, '.', '_', '-' only", directory.name)
            continue
        if len(found) > 1:
            log.warning("%s has several models; %s is used", directory, found[0].name)
        metadata = _metadata(found[0])
        yield ModelSpec(
            id=directory.name,
            path=found[0],
            context_length=_context_length(metadata, _UNKNOWN_CONTEXT),
            backend=backend,
            file_format=file_format(metadata),
        )


def _metadata(path: Path) -> Mapping[str, Scalar]:
    try:
        return read_metadata(path)
    except (NotGGUF, OSError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return {}


def _context_length(metadata: Mapping[str, Scalar], unknown: int) -> int:
    architecture = metadata.get("general.architecture")
    return int(metadata.get(f"{architecture}.context_length", unknown))


def _parts(path: Path) -> list[Path]:
    split = re.fullmatch(r"(.*)-00001-of-(\d{5})\.gguf", path.name)
    if split is None:
        return [path]
    return sorted(path.parent.glob(f"{split[1]}-?????-of-{split[2]}.gguf"))
