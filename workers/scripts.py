"""The Lua scripts, one file each in `workers/lua/`: what must happen to a job in one step."""

from __future__ import annotations

from functools import cache
from importlib import resources

from redis import Redis
from redis.commands.core import Script


def script(redis: Redis, name: str) -> Script:
    """The script of this name, callable; it loads itself into a server that lost it."""
    return redis.register_script(_source(name))


@cache
def _source(name: str) -> str:
    return resources.files("workers").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
