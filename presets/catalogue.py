"""The catalogue: every model that this installation could run, and the presets of them.

Models are described by files (`presets/models/`, and a user's own over them); beside those each
GGUF in the models directory is a model by its place (`presets.weights.layout`), with context and
template from its own metadata; where vLLM is the engine, so is a directory of safetensors.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from presets import files
from presets.kind import Kind
from presets.model import ModelSpec
from presets.preset import Preset
from presets.weights import weight_files

#: The model of those who bring none.
SHIPPED = "smollm2-135m"


class _UnknownName(LookupError):
    """A name that the catalogue does not have, with the nearest one that it has."""

    def __init__(self, kind: str, name: str, suggestion: str | None, more: str = "") -> None:
        self.name = name
        self.suggestion = suggestion
        hint = f"; did you mean {suggestion!r}?" if suggestion else ""
        super().__init__(f"there is no {kind} {name!r}{hint}{more}")


class UnknownModel(_UnknownName):
    """The catalogue has no such model."""

    def __init__(self, name: str, suggestion: str | None) -> None:
        super().__init__("model", name, suggestion)


class UnknownPreset(_UnknownName):
    """The catalogue has no such preset."""

    def __init__(self, name: str, suggestion: str | None) -> None:
        more = "; inference-service presets list shows them"
        super().__init__("preset", name, suggestion, more)


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
        A file that is no GGUF is kept: its worker says why it cannot be loaded.

        Raises:
            presets.schema.CatalogueError: a file is wrong; names file, entry and field.
        """
        models_dir = models_dir and models_dir.absolute()
        described = files.models(own)
        specs = {
            spec.id: weight_files.settled(spec, models_dir, spec.backend or backend)
            for spec in described.values()
        }
        specs |= {spec.id: spec for spec in weight_files.undescribed(models_dir, backend, specs)}
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

        Those in `preload`; else those of the preset; else the smallest model that writes in the
        models directory; else the shipped one.

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
            if spec.path is not None
            and spec.kind is Kind.GENERATION
            and not spec.id.startswith(SHIPPED)
        ]
        if not own:
            return (SHIPPED,)
        return (min(own, key=lambda spec: (self.estimate_bytes(spec), spec.id)).id,)

    @cached_property
    def present(self) -> tuple[ModelSpec, ...]:
        """Models whose file is there, all parts of it, or that need none."""
        return tuple(spec for spec in self._specs.values() if not weight_files.missing(spec))

    def estimate_bytes(self, spec: ModelSpec) -> int:
        """Memory a model will take before it was ever loaded: the size of its weights."""
        if weight_files.missing(spec):
            return spec.size_bytes
        return sum(file.stat().st_size for file in weight_files.files(spec))


def _nearest(name: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return near[0] if near else None
