"""Supervision: whether `up` watches over this process."""

from __future__ import annotations

import os

#: Set by the supervisor for its children: its own pid.
SUPERVISOR = "INFERENCE_SUPERVISOR_PID"


def is_supervised() -> bool:
    """Whether a supervisor started this process, and starts it again where it is wanted."""
    return SUPERVISOR in os.environ


def supervisor_pid() -> int | None:
    """The pid of the supervisor that started this process; None where none did."""
    supervisor = os.environ.get(SUPERVISOR)
    return None if supervisor is None else int(supervisor)
