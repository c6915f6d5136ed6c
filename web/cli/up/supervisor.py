"""The supervisor: starts processes, restarts what dies, and stops all of them in order."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from web.cli.problem import MISUSE
from web.cli.up.standby import Standby
from workers.cluster.supervision import SUPERVISOR

log = logging.getLogger(__name__)

#: Pause before a process that died is started again: doubled from the first to the longest.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
#: A process that ran for this long has recovered; its next pause is the first again.
STABLE_S = 60.0
#: A log file larger than this begins anew where INFERENCE_LOG_MAX_MB says nothing else; one older
#: file is kept. Whoever reaches the front end adds a line with each request, so that logs without a
#: bound would fill the disk.
LARGEST_LOG_BYTES = 20 * 2**20
_KILL_AFTER_S = 5.0
#: What of a log's end is looked through for the reason of an end.
_SAID_BYTES = 64 * 1024


@dataclass(eq=False)
class Child:
    """One supervised process."""

    name: str
    arguments: Sequence[str]
    log_file: Path
    #: Bytes of a log that begins anew.
    log_bytes: int = LARGEST_LOG_BYTES
    #: Seconds it may take to end by itself.
    grace_s: float = 10.0
    #: It ends with status 0 when it is not wanted, and is started again by whoever wants it.
    rests: bool = False
    #: The service is nothing without it: where it cannot run as it is set up, nothing runs.
    essential: bool = True
    #: Where it cannot run as it is set up the others run without it, and it is not tried again.
    optional: bool = False
    #: Why it is no use to start it again, from what it said; None where it may be.
    diagnose: Callable[[str], str | None] = lambda said: None
    #: It is started again in the process that waits for that, where one does.
    from_standby: bool = False
    #: It has given text since it was started.
    answered: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    #: Size of its log when it was started last.
    log_begins_at: int = 0
    #: When it is to be started again; None while it runs.
    restart_at: float | None = field(default=None)

    def start(self, standby: Standby | None = None) -> None:
        """Start it in a session of its own, so that a Ctrl-C reaches the supervisor alone.

        In the standby, where it may be and one waits.
        """
        has_log = self._begin_log()
        waiting = standby.become(self.arguments, self.log_file) if standby and has_log else None
        self.process = waiting or self._spawn()
        self.answered = False
        self.started_at = time.monotonic()
        self.restart_at = None

    def _begin_log(self) -> bool:
        """Returns whether there is a log: a disk may have no room for one."""
        try:
            self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.bound_log()
            with open(self.log_file, "ab", opener=_private) as output:
                self.log_begins_at = output.tell()
        except OSError as error:
            log.warning("%s has no log: %s", self.name, error)
            return False
        return True

    def bound_log(self) -> None:
        """Begin its log anew where that has grown too large, and keep the old one.

        The process goes on writing to the end of the same file, so that is copied and emptied; what
        is written between the two is lost.
        """
        if not self.log_file.exists() or self.log_file.stat().st_size <= self.log_bytes:
            return
        older = self.log_file.with_suffix(".log.1")
        try:
            with self.log_file.open("rb") as full, open(older, "wb", opener=_private) as kept:
                shutil.copyfileobj(full, kept)
        except OSError as error:  # a full disk: then room is worth more
            log.warning("%s cannot be kept as %s: %s", self.log_file, older, error)
        os.truncate(self.log_file, 0)
        self.log_begins_at = 0

    def _spawn(self) -> subprocess.Popen[bytes]:
        file = self.log_file if self.log_file.exists() else Path(os.devnull)
        with open(file, "ab", opener=_private) as output:
            return subprocess.Popen(
                [sys.executable, "-m", "web.cli", *self.arguments],
                env={**os.environ, SUPERVISOR: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def resting(self) -> bool:
        """Whether it has ended because it is not wanted, or cannot run and need not."""
        status = self.process.poll() if self.process is not None else None
        ended = (self.rests and status == 0) or self.given_up
        return ended and self.restart_at is None

    @property
    def given_up(self) -> bool:
        """Whether it cannot run as it is set up, and is not tried again."""
        status = self.process.poll() if self.process is not None else None
        return self.optional and status == MISUSE

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to it and all that it started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                return

    def said(self) -> str:
        """What its log has since it was started last, the end of it."""
        return self._read_log(self.log_begins_at)

    def last_lines(self, count: int = 15) -> str:
        """The end of its log."""
        lines = self._read_log(0).splitlines()
        return "\n".join(f"    {line}" for line in lines[-count:])

    def _read_log(self, begin: int) -> str:
        try:
            with self.log_file.open("rb") as log_:
                log_.seek(max(begin, log_.seek(0, os.SEEK_END) - _SAID_BYTES))
                return log_.read().decode(errors="replace")
        except OSError:  # it has none
            return ""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class Supervisor:
    """Watches over its children until `stop`."""

    def __init__(self, say: Callable[[str], None], standby: Standby | None = None) -> None:
        self._say = say
        self._standby = standby
        self._children: list[Child] = []

    def start(self, child: Child) -> Child:
        """Start a child and watch over it from now on."""
        child.start()
        self._children.append(child)
        return child

    def look(self) -> str | None:
        """Restart what died and has waited long enough, and hold logs to their bound.

        Returns why a child cannot run as it is set up, if there is one.
        """
        now = time.monotonic()
        for child in self._children:
            child.bound_log()
            if child.running or child.resting:
                continue
            if child.restart_at is None:
                status = child.process.returncode if child.process else None
                if status == MISUSE and child.essential:
                    return f"{child.name} says:\n{child.last_lines(5)}"
                if reason := child.diagnose(child.said()):
                    return reason
                self._plan_restart(child, status, now)
            if child.restart_at is not None and now >= child.restart_at:
                self._say(f"starting {child.name} again")
                child.signal_group(signal.SIGKILL)  # children of the dead one
                child.start(self._standby if child.from_standby else None)
        return None

    @property
    def calm(self) -> bool:
        """Whether everybody runs who is to, and has for a moment."""
        return all(child.running or child.resting for child in self._children)

    def pids(self) -> dict[int, Child]:
        """The children that run, by pid."""
        return {
            child.process.pid: child for child in self._children if child.process and child.running
        }

    def _plan_restart(self, child: Child, status: int | None, now: float) -> None:
        if child.answered or now - child.started_at > STABLE_S:
            child.pause_s = FIRST_PAUSE_S
        pause_s = 0.0 if child.answered else child.pause_s
        how = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
        self._say(f"{child.name} ended with {how}; its log is {child.log_file}, its last lines:")
        self._say(child.last_lines())
        child.restart_at = now + pause_s
        if not child.answered:
            child.pause_s = min(2 * child.pause_s, LONGEST_PAUSE_S)

    def stop(self, hurried: Callable[[], bool]) -> None:
        """Stop every child, the last started first, each within its grace.

        While `hurried` says so nobody gets more time.
        """
        for child in reversed(self._children):
            if child.running:
                child.signal_group(signal.SIGTERM)
                self._await_end(child, hurried)
            child.signal_group(signal.SIGKILL)  # its children, and itself if need be
            if child.process is not None:
                child.process.wait(_KILL_AFTER_S)

    def _await_end(self, child: Child, hurried: Callable[[], bool]) -> None:
        deadline = time.monotonic() + child.grace_s
        notice_at = time.monotonic() + 2.0
        while child.running and time.monotonic() < deadline and not hurried():
            if time.monotonic() > notice_at:
                self._say(f"waiting for the running answers of {child.name} (Ctrl-C stops at once)")
                notice_at = deadline
            time.sleep(0.05)
