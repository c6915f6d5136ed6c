"""The modes there are. Each registers itself where it is defined; nothing here names one."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from orchestration import modes
from orchestration.modes.base import Mode
from orchestration.prompts.rendering import Prompts
from presets.catalogue import Catalogue
from presets.schema import CatalogueError
from workers.contract.job import DEFAULT_MODE
from workers.settings import Settings
from workers.settings.problems import Problem, SettingsError

M = TypeVar("M", bound=type[Mode])

_registered: dict[str, type[Mode]] = {}


def register(mode: M) -> M:
    """Class decorator: make a mode known by its name.

    Raises:
        ValueError: another mode has that name.
    """
    if _registered.setdefault(mode.name, mode) is not mode:
        raise ValueError(f"two modes are called {mode.name!r}")
    return mode


def classes() -> Mapping[str, type[Mode]]:
    """Every mode's class by its name: the modules of this package, and what registered itself."""
    _import_modules()
    return MappingProxyType(_registered)


def names() -> tuple[str, ...]:
    """The names of all modes, the default one first."""
    return tuple(sorted(classes(), key=lambda name: (name != DEFAULT_MODE, name)))


def load(own: Path | None) -> Mapping[str, Mode]:
    """Every mode by its name, ready to plan; `own` may have an operator's templates.

    Raises:
        PromptError: a template cannot be used.
    """
    templates = (template for mode in classes().values() for template in mode.templates)
    prompts = Prompts(templates, own)
    return {name: mode(prompts) for name, mode in classes().items()}


def check_settings(settings: Settings) -> None:
    """Refuse settings that name a mode which is not there.

    Raises:
        SettingsError: names the variable, its value and what is allowed.
    """
    mode = settings.orchestration_mode
    if mode is not None and mode not in classes():
        allowed = ", ".join(names())
        raise SettingsError([Problem("INFERENCE_ORCHESTRATION_MODE", mode, allowed)])


def check_presets(catalogue: Catalogue) -> None:
    """Refuse presets of a mode which is not there, or with fields of another mode.

    Raises:
        CatalogueError: names file, preset and field.
    """
    modes_of: dict[str, list[str]] = {}
    for name in names():
        for field in classes()[name].preset_fields:
            modes_of.setdefault(field, []).append(name)
    for preset in catalogue.presets():
        if preset.mode not in classes():
            problem = f"mode must be one of: {', '.join(names())}"
            raise CatalogueError(preset.file, preset.id, problem)
        for field, having in modes_of.items():
            if preset.mode not in having and getattr(preset, field):
                several = "modes" if len(having) > 1 else "mode"
                problem = f"{field} goes only with {several} {' and '.join(having)}"
                raise CatalogueError(preset.file, preset.id, problem)


@functools.cache
def _import_modules() -> None:
    for module in pkgutil.iter_modules(modes.__path__):
        importlib.import_module(f"{modes.__name__}.{module.name}")
