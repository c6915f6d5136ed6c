"""Which family of models writes its calls how. Each registers itself; nothing here names one."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Mapping
from types import MappingProxyType

from workers.contract.errors import ModelLoadFailed
from workers.engines.tool_calls import families as modules
from workers.engines.tool_calls.base import Family

#: The family of models whose template asks for no form: see `families.plain_json`.
FALLBACK = "json"
#: Jinja's tags, and the texts inside one.
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TEXT = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_TOOLS = re.compile(r"(?<![\w.])tools\b")

_registered: dict[str, Family] = {}


def register(family: Family) -> Family:
    """Make a family known by its name.

    Raises:
        ValueError: another one has that name.
    """
    if _registered.setdefault(family.name, family) is not family:
        raise ValueError(f"two families of calls are called {family.name!r}")
    return family


def families() -> Mapping[str, Family]:
    """Every family by its name: the modules of `families`, and what registered itself."""
    _import_modules()
    return MappingProxyType(_registered)


def knows_tools(template: str) -> bool:
    """Whether a chat template shows the model the tools that it is given."""
    return any(_TOOLS.search(_TEXT.sub("", tag)) for tag in _TAG.findall(template))


def find(name: str | None, template: str) -> Family:
    """The family of a model: the one that the catalogue names, or the one its template asks for.

    Raises:
        ModelLoadFailed: there is none of that name.
    """
    known = families()
    if name is not None and name not in known:
        names = ", ".join(sorted(known))
        raise ModelLoadFailed(f"unknown family of tool calls {name!r}; known: {names}")
    if name is not None:
        return known[name]
    if knows_tools(template):
        for family in known.values():
            if family.recognises(template):
                return family
    return known[FALLBACK]


@functools.cache
def _import_modules() -> None:
    for module in pkgutil.iter_modules(modules.__path__):
        importlib.import_module(f"{modules.__name__}.{module.name}")
