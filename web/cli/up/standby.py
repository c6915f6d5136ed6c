"""The standby: a process that has done its imports, and waits to become a worker that died.

A model worker that dies is started again in it, which saves what the imports take. It has no model:
what it takes of the memory is in the plan.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from workers.cluster.supervision import SUPERVISOR

#: One that ended by itself, because it cannot import what it needs, is not tried again at once.
AFTER_FAILURE_S = 60.0
#: Its imports are not to compete with the load of the worker that it was started after.
CALM_S = 3.0


class Standby:
    """The process that waits, if it does."""

    def __init__(self, log_file: Path, models: Sequence[str]) -> None:
        """`models`: whose engines it is to import; empty: there is no standby."""
        self._log_file = log_file
        self._models = tuple(models)
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at = time.monotonic() + CALM_S

    def look(self, *, calm: bool) -> None:
        """Start one where none waits, once nothing has been started for a while."""
        if not calm:
            self._start_at = max(self._start_at, time.monotonic() + CALM_S)
        if not self._models or self._waits:
            return
        if self._process is not None:
            self.stop()
            self._start_at = time.monotonic() + AFTER_FAILURE_S
        if time.monotonic() < self._start_at:
            return
        self._start_at = time.monotonic() + CALM_S
        try:
            descriptor = os.open(self._log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError:  # a full disk
            return
        with open(descriptor, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "web.cli", "standby", *self._models],
                env={**os.environ, SUPERVISOR: str(os.getpid())},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def become(self, arguments: Sequence[str], log_file: Path) -> subprocess.Popen[bytes] | None:
        """The process, which runs this command from now on; None where none waits."""
        process = self._process
        if process is None or process.stdin is None or process.poll() is not None:
            return None
        self._process = None
        task = {"arguments": list(arguments), "log_file": str(log_file)}
        try:
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.close()
        except BrokenPipeError:  # it has died just now
            return None
        self._start_at = time.monotonic() + CALM_S
        return process

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            self._process = None

    @property
    def _waits(self) -> bool:
        return self._process is not None and self._process.poll() is None
