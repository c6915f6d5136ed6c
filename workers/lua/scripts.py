"""The Lua scripts, one file each in `workers/lua/`: what must happen to a job in one step.

Redis knows no modules: what scripts share stands in files of its own, which are put before them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

from workers.contract import keys

#: Script -> what it shares with others, beside the prelude.
_SHARED = {
    "store": "add_steps",
    "advance": "add_steps",
    "delete": "delete_job",
    "make_room": "delete_job",
    "cache_drop": "cache_entries",
    "cache_get": "cache_entries",
    "cache_size": "cache_entries",
    "cache_store": "cache_entries",
}


def run(redis: Redis, name: str, *arguments: str | bytes | float) -> Any:
    """What the script of this name returns; a server that does not have it gets it.

    `arguments` are in the order in which the script's header names them.

    Raises:
        redis.RedisError: Redis is away, or the script failed.
    """
    script = _script(name)
    try:
        return redis.evalsha(script.sha1, 1, keys.PREFIX, *arguments)
    except NoScriptError:
        return redis.eval(script.source, 1, keys.PREFIX, *arguments)


@dataclass(frozen=True, slots=True)
class _Script:
    source: str
    #: Its name in Redis.
    sha1: str


@cache
def _script(name: str) -> _Script:
    files = ["prelude", *([_SHARED[name]] if name in _SHARED else []), name]
    constants = f"local RANK_SPAN_MS = {keys.RANK_SPAN_MS}\n"
    source = constants + "".join(_read(file) for file in files)
    return _Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _read(name: str) -> str:
    return resources.files("workers").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
