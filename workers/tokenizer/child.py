"""The tokenizer as a child of the orchestration worker: started when somebody counts.

A process of its own, so that what strangers let it read costs the keeper nothing and cannot end it.
It ends by itself when nobody counts, and is started again by the next call; one that dies over a
call likewise.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import keys

log = logging.getLogger(__name__)

_WAIT_S = 1
_PAUSE_S = 0.5
_ENDS_WITHIN_S = 2.0


class TokenizerChild(BackgroundThread):
    """The thread that starts the tokenizer when it is woken, and looks after its end."""

    def __init__(self, redis: Redis) -> None:
        """`redis`: a client of its own.

        `stop` waits for nothing: the tokenizer ends with this process, too.
        """
        super().__init__("tokenizer-child")
        self._redis = redis

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                woken: Any = self._redis.blpop([keys.TOKENIZER_WAKE], _WAIT_S)
            except RedisError as error:
                log.warning("Redis is unavailable: %s", error)
                self._ending.wait(_PAUSE_S)
                continue
            if woken is not None and not self._ending.is_set():
                self._serve()

    def _serve(self) -> None:
        """Run the tokenizer until it ends, or this process does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.tokenizer"], stdin=subprocess.PIPE
        )
        log.info("the tokenizer runs, pid %d", process.pid)
        try:
            while not self._ending.wait(_PAUSE_S):
                status = process.poll()
                if status is not None:
                    if status:
                        log.error("the tokenizer ended with status %d", status)
                    return
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDS_WITHIN_S)
        return
    process.kill()
    process.wait()
