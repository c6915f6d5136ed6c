"""Ends: a process that was asked to end is gone within its grace, whatever hangs in it.

SIGTERM and SIGINT let a process end by itself. A thread of it sees them too, also while the
main thread is in a native call, and ends the process by force when its grace is over: Redis may be
gone, and an engine may hang. The same thread looks whether the supervisor lives: a process without
it ends, and soon.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import sys
import threading
import time
from typing import NoReturn

import psutil

from workers.background import BackgroundThread
from workers.cluster.supervision import supervisor_pid

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_LOOK_S = 0.5
#: Beyond the grace: answers are handed back, and the last lines of the token log are written.
AFTER_GRACE_S = 4.0
#: What a process without its supervisor has to end by itself. Nothing may be left after 10 s.
ORPHAN_GRACE_S = 6.0


def end_with_supervisor() -> None:
    """Let this process get SIGTERM when its supervisor dies; does nothing where there is none.

    On Linux the kernel sends it, also after an `exec`; elsewhere `Ending` looks for it.
    """
    supervisor = supervisor_pid()
    if supervisor is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before the line above
        os.kill(os.getpid(), signal.SIGTERM)


def end_with_supervisor_after_exec() -> None:
    """The same for a process that becomes another program: its threads end with that."""
    end_with_supervisor()
    supervisor = supervisor_pid()
    if supervisor is not None and sys.platform != "linux":
        fork_watcher(supervisor)


def fork_watcher(parent: int) -> None:
    """Leave a child that ends this process, whatever program it is by then, after its parent.

    To be called before any thread is started.
    """
    watched = psutil.Process()
    if os.fork():
        return
    pause = threading.Event()
    with contextlib.suppress(psutil.Error):  # it has ended by itself
        while watched.ppid() == parent:
            if os.getppid() != watched.pid:
                os._exit(0)
            pause.wait(_LOOK_S)
        watched.terminate()
        try:
            watched.wait(ORPHAN_GRACE_S)
        except psutil.TimeoutExpired:
            watched.kill()
    os._exit(0)


class Ending(BackgroundThread):
    """The thread that sees to it that this process ends."""

    def __init__(self, grace_s: float, parent: int | None = None) -> None:
        """`grace_s`: what answers get after a signal. `parent`: who must live; None: nobody."""
        super().__init__("ending")
        self._grace_s = grace_s
        self._parent = parent
        self._ends_at = float("inf")
        self._orphaned = False
        #: Whether the next signal is this process's own, which lets answers take their time.
        self._patient = False
        self._signals: int | None = None

    def watch(self) -> Ending:
        """Watch this process's signals; from the main thread, once its handlers are its own."""
        self._signals, written = os.pipe()
        for descriptor in (self._signals, written):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        return self

    def end_patiently(self) -> None:
        """End this process as by SIGTERM; its answers take as long as they take."""
        self._patient = True
        os.kill(os.getpid(), signal.SIGTERM)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._await_signals()
            if self._parent is not None and not self._orphaned and os.getppid() != self._parent:
                self._orphaned = True
                self._end_within(ORPHAN_GRACE_S)
                os.kill(os.getpid(), signal.SIGTERM)
            if time.monotonic() >= self._ends_at:
                self._end_by_force()

    def _await_signals(self) -> None:
        if self._signals is None:
            self._ending.wait(_LOOK_S)
            return
        readable, _, _ = select.select([self._signals], [], [], _LOOK_S)
        if not readable:
            return
        for number in os.read(self._signals, 64):
            if number not in (signal.SIGTERM, signal.SIGINT):
                continue
            if self._patient and not self._orphaned:
                self._patient = False
            else:
                self._end_within(self._grace_s + AFTER_GRACE_S)

    def _end_within(self, seconds: float) -> None:
        self._ends_at = min(self._ends_at, time.monotonic() + seconds)

    def _end_by_force(self) -> NoReturn:
        log.critical("this process was asked to end and has not; it is ended by force")
        logging.shutdown()
        if os.getpgrp() == os.getpid():  # with all that it started
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)


def watch(grace_s: float) -> Ending:
    """Watch over this process from now on; from its main thread."""
    ending = Ending(grace_s, supervisor_pid()).watch()
    ending.start()
    return ending
