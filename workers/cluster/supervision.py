"""Supervision: whether `up` watches over this process."""

from __future__ import annotations

import os

#: Set by the supervisor for its children: its own pid.
SUPERVISOR = "INFERENCE_SUPERVISOR_PID"


def is_supervised() -> bool:
    """Whether a supervisor started this process, and starts it again where it is wanted."""
    return SUPERVISOR in os.environ
