"""No orphans: a supervised process ends when its supervisor does, however that ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

from workers.cluster.supervision import SUPERVISOR

_PR_SET_PDEATHSIG = 1
_LOOK_S = 1.0


def end_with_supervisor() -> None:
    """Let this process get SIGTERM when its supervisor dies; does nothing where there is none.

    On Linux the kernel sends it, also after an `exec`; elsewhere a thread looks every second.
    """
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(supervisor):  # it died before the line above
            os.kill(os.getpid(), signal.SIGTERM)
        return
    watch = threading.Thread(target=_watch, args=(int(supervisor),), daemon=True)
    watch.start()


def _watch(supervisor: int) -> None:
    pause = threading.Event()
    while os.getppid() == supervisor:
        pause.wait(_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
