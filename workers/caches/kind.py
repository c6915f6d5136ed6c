"""The kinds of caches: each is a module of this folder, which registers it where it is defined."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheKind:
    """What a cache is called, how long it keeps what, and how much of it."""

    #: In keys of Redis, labels of metrics and addresses.
    name: str
    #: What it keeps, in a sentence for operators.
    about: str
    #: Seconds for which an entry is kept at most.
    ttl_s: int
    #: Bytes of it that each process keeps for itself; 0: it asks Redis each time.
    front_bytes: int = 0
    #: Bytes of it in Redis; None: as many as INFERENCE_CACHE_MB allows.
    most_bytes: int | None = None
    #: What the keys of its values begin with; "": `cached:{name}`.
    keys_begin: str = ""
    #: Its values carry a checksum; what has none checks its own form.
    sealed: bool = True


_REGISTERED: dict[str, CacheKind] = {}


def register(kind: CacheKind) -> CacheKind:
    """Let the service have this cache; of two with one name the last one counts."""
    _REGISTERED[kind.name] = kind
    return kind


def kinds() -> Mapping[str, CacheKind]:
    """Every cache that is registered, by its name, in the order of the names."""
    _import_modules()
    return {name: _REGISTERED[name] for name in sorted(_REGISTERED)}


@functools.cache
def _import_modules() -> None:
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
