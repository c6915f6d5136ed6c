"""The Lua scripts, one file each in `workers/lua/`: what must happen to a job in one step.

Redis knows no modules: what two scripts share stands in a file of its own and is put before both.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from redis import Redis
from redis.commands.core import Script

#: Script -> the file that it shares with others.
_SHARED = {"store": "steps", "advance": "steps"}


def script(redis: Redis, name: str) -> Script:
    """The script of this name, callable; it loads itself into a server that lost it."""
    return redis.register_script(_source(name))


@cache
def _source(name: str) -> str:
    return _read(_SHARED[name]) + _read(name) if name in _SHARED else _read(name)


def _read(name: str) -> str:
    return resources.files("workers").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
