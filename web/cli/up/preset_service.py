"""`up --preset` for as long as something needs it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

#: The longest until its models are loaded: one of 10 GB comes from a slow disk in minutes.
READY_WITHIN_S = 1800.0
_LOOK_S = 0.25
_FAILED = "could not be loaded"


class StartError(RuntimeError):
    """The service did not come up; the message says what it said."""


@contextlib.contextmanager
def serving(preset_id: str, service: str, log: Path) -> Iterator[None]:
    """Start the service with a preset, at the address of the settings, and stop it afterwards.

    Raises:
        StartError: something answers at `service` already, or it did not become ready.
    """
    if _reason_not_ready(service) is not None:
        raise StartError(f"a service answers at {service} already. Stop it, or leave out --start.")
    with log.open("ab") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "up", "--preset", preset_id],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C stops us; we stop it
        )
    try:
        _await_ready(up, service, log)
        yield
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait()


def _await_ready(up: subprocess.Popen[bytes], service: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while (reason := _reason_not_ready(service)) != "":
        if up.poll() is not None:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise StartError(f"up ended with status {up.returncode}:\n{last}")
        if _FAILED in (reason or "") or time.monotonic() > deadline:
            raise StartError(reason or f"nothing answers at {service}")
        time.sleep(_LOOK_S)


def _reason_not_ready(service: str) -> str | None:
    """Why a service is not ready, empty where it is; None where none answers."""
    try:
        # Our own address never goes through a proxy.
        answer = httpx.get(f"{service}/health/ready", timeout=5.0, trust_env=False)
        return "" if answer.is_success else str(answer.json().get("reason", answer.status_code))
    except httpx.TransportError:
        return None
    except ValueError:
        return f"something else answers at {service}"
