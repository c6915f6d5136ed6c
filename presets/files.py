"""The files of the catalogue: those that are shipped, and a user's own laid over them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from presets.model import ModelSpec, PackageSource
from presets.preset import Preset
from presets.schema import CatalogueError, ModelSchema, PresetSchema, read

#: Beside a user's `models/*.yaml`: the user's presets.
PRESETS_FILE = "presets.yaml"


def models(own: Path | None) -> dict[str, ModelSpec]:
    """Every model that a file describes, a user's own instead of a shipped one of its id.

    A model that comes with an installed package has its path already.

    Raises:
        CatalogueError: a file is wrong; names file, entry and field.
    """
    specs: dict[str, ModelSpec] = {}
    for root in _roots(own):
        for file in _yaml_files(root.joinpath("models")):
            spec = read(ModelSchema(), _parse(file), _name(file))
            if spec.package is not None:
                spec = replace(spec, path=packaged(spec.package))
            specs[spec.id] = spec
    return specs


def presets(own: Path | None, known: dict[str, ModelSpec]) -> dict[str, Preset]:
    """Every preset, a user's own instead of a shipped one of its id.

    Raises:
        CatalogueError: a file is wrong, or a preset names a model that `known` has not.
    """
    presets_: dict[str, Preset] = {}
    for root in _roots(own):
        file = root.joinpath(PRESETS_FILE)
        if not file.is_file():
            continue
        data = _parse(file)
        entries = data.get("presets") if isinstance(data, dict) else None
        if not isinstance(entries, list):
            raise CatalogueError(_name(file), "", "presets must be a list")
        for number, entry in enumerate(entries, start=1):
            named = isinstance(entry, dict) and entry.get("id")
            preset = read(PresetSchema(), entry, _name(file), str(named or f"entry {number}"))
            for model in preset.models:
                if model not in known:
                    problem = f"models: there is no model {model!r}"
                    raise CatalogueError(_name(file), preset.id, problem)
            presets_[preset.id] = replace(preset, file=_name(file))
    return presets_


def _roots(own: Path | None) -> Iterator[Traversable]:
    yield resources.files("presets")
    if own is not None:
        yield own


def _yaml_files(directory: Traversable) -> list[Traversable]:
    if not directory.is_dir():
        return []
    return sorted(
        (entry for entry in directory.iterdir() if entry.name.endswith((".yaml", ".yml"))),
        key=lambda entry: entry.name,
    )


def _parse(file: Traversable) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(_name(file), "", f"cannot be read: {error}") from error
    # A number of thousands of digits is a ValueError; a list in a list in a list, the other.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = f"is no YAML: {' '.join(str(error).split())}"
        raise CatalogueError(_name(file), "", problem) from None


def _name(file: Traversable) -> str:
    return str(file) if isinstance(file, Path) else file.name


def packaged(package: PackageSource) -> Path:
    """A file inside an installed package, which is looked up and never imported.

    A relative path, which is never there, where the package is not installed.
    """
    spec = importlib.util.find_spec(package.name)
    if spec is None or not spec.submodule_search_locations:
        return Path(package.name) / package.file
    return Path(next(iter(spec.submodule_search_locations))) / package.file
