"""The catalogue: every model that this installation could run.

Built-in models are the files in `presets/models/`; beside them `<models dir>/<id>/*.gguf` is
model `<id>`, with context and template from its own metadata.
"""

from __future__ import annotations

import difflib
import importlib.util
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from presets.gguf import NotGGUF, Scalar, file_format, read_metadata
from presets.model import ModelSpec

log = logging.getLogger(__name__)

#: The model of those who bring none.
SHIPPED = "smollm2-135m"
#: What a directory must be called to be a model: it stands in addresses and queue names.
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
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


class Catalogue:
    """Models by id, in the order they were found: built-in first."""

    def __init__(self, specs: Iterable[ModelSpec]) -> None:
        self._specs = {spec.id: spec for spec in specs}

    @classmethod
    def load(
        cls,
        models_dir: Path | None,
        backend: str,
        roles: Mapping[str, tuple[str, ...]] | None = None,
        formats: Mapping[str, str | None] | None = None,
    ) -> Catalogue:
        """Read the built-in models and those in `models_dir`.

        `backend` runs the models that name no engine; `roles` and `formats` (the
        format to requantise to) replace those of single models.
        A file that is no GGUF is kept: its worker tells why it cannot be loaded.
        """
        specs = {spec.id: spec for spec in _built_in(backend)}
        specs |= {spec.id: spec for spec in _found_in(models_dir, backend)}
        return cls(
            replace(
                spec,
                roles=(roles or {}).get(spec.id, spec.roles),
                requantise=(formats or {}).get(spec.id, spec.requantise),
            )
            for spec in specs.values()
        )

    def get(self, name: str) -> ModelSpec:
        """The model of this name.

        Raises:
            UnknownModel: there is none; suggests the nearest.
        """
        try:
            return self._specs[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._specs, n=1, cutoff=0.5)
            raise UnknownModel(name, near[0] if near else None) from None

    def has(self, name: str) -> bool:
        """Whether there is a model of this name."""
        return name in self._specs

    def all(self) -> tuple[ModelSpec, ...]:
        """Every model."""
        return tuple(self._specs.values())

    def wanted(self, preload: tuple[str, ...] | None) -> tuple[str, ...]:
        """The models that the service starts with.

        Those in `preload`; else the smallest file in the models directory; else the shipped one.
        """
        if preload is not None:
            return preload
        own = [spec for spec in self._specs.values() if spec.id != SHIPPED and spec.path]
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
        if spec.path is None or not spec.path.is_file():
            return 0
        return sum(part.stat().st_size for part in _parts(spec.path))


def _built_in(backend: str) -> Iterable[ModelSpec]:
    for entry in sorted(resources.files("presets").joinpath("models").iterdir(), key=str):
        if entry.name.endswith(".yaml"):
            data = yaml.safe_load(entry.read_text(encoding="utf-8"))
            yield _from_yaml(data, backend)


def _from_yaml(data: Mapping[str, Any], backend: str) -> ModelSpec:
    source = data["source"]
    return ModelSpec(
        id=data["id"],
        path=_packaged(source["package"], source["file"]) if backend != "scripted" else None,
        context_length=data["context_length"],
        roles=tuple(data["roles"]),
        backend=backend,
        requantise=data.get("requantise"),
    )


def _packaged(package: str, file: str) -> Path:
    """A file inside an installed package, which is looked up and never imported."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return Path(package) / file  # its worker reports the package that is missing
    return Path(next(iter(found.submodule_search_locations))) / file


def _found_in(models_dir: Path | None, backend: str) -> Iterable[ModelSpec]:
    if models_dir is None or not models_dir.is_dir():
        return
    for directory in sorted(models_dir.iterdir()):
        if not directory.is_dir() or directory.name.startswith("."):
            continue
        files = [f for f in sorted(directory.glob("*.gguf")) if not _LATER_PART.search(f.name)]
        if not files:
            continue
        if not MODEL_ID.fullmatch(directory.name):
            log.warning("%s is no model id: letters, digits, '.', '_', '-' only", directory.name)
            continue
        if len(files) > 1:
            log.warning("%s has several models; %s is used", directory, files[0].name)
        metadata = _metadata(files[0])
        yield ModelSpec(
            id=directory.name,
            path=files[0],
            context_length=_context_length(metadata),
            backend=backend,
            file_format=file_format(metadata),
        )


def _metadata(path: Path) -> Mapping[str, Scalar]:
    try:
        return read_metadata(path)
    except (NotGGUF, OSError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return {}


def _context_length(metadata: Mapping[str, Scalar]) -> int:
    architecture = metadata.get("general.architecture")
    return int(metadata.get(f"{architecture}.context_length", _UNKNOWN_CONTEXT))


def _parts(path: Path) -> list[Path]:
    split = re.fullmatch(r"(.*)-00001-of-(\d{5})\.gguf", path.name)
    if split is None:
        return [path]
    return sorted(path.parent.glob(f"{split[1]}-?????-of-{split[2]}.gguf"))
