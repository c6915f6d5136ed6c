"""`inference-service drain`: lets workers end their answers, and then themselves."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

import click

from web.cli.connection import request, service_address, service_command
from web.cli.problem import INTERRUPTED, CommandError

_LOOK_S = 0.5
#: What a worker may take beyond its grace: it hands back what is left, and closes its engine.
_AFTER_GRACE_S = 60.0
#: The grace that is waited for where none is named: that of the worker's own settings.
_USUAL_GRACE_S = 600.0


@click.command()
@click.argument("worker", required=False)
@click.option(
    "--grace",
    "grace_s",
    metavar="SECONDS",
    type=click.FloatRange(0, 86_400),
    help="What running answers get. Default: INFERENCE_GRACE_S of the worker.",
)
@click.option("--no-wait", is_flag=True, help="Return at once; the workers end by themselves.")
@service_command
def drain(worker: str | None, grace_s: float | None, no_wait: bool) -> None:
    """Let workers end their answers and then themselves, one after the other.

    WORKER is a worker's id, a model or a host. Default: the workers of this machine. What has not
    ended in time goes on in another worker. Whoever started a worker starts it again.
    """
    wanted = worker or socket.gethostname()
    found = [one for one in _workers() if wanted in (one["id"], one["model"], one["host"])]
    if not found:
        options = service_address().options
        raise CommandError(
            f"There is no worker {wanted}. See: inference-service workers{options}"
            if worker
            else f"No worker runs on this machine ({wanted})."
        )
    for one in found:
        _drain(one["id"], grace_s, wait=not no_wait)


def _drain(worker_id: str, grace_s: float | None, *, wait: bool) -> None:
    params = {} if grace_s is None else {"grace_s": grace_s}
    request("POST", f"/v1/workers/{worker_id}/drain", admin=True, params=params)
    if not wait:
        click.echo(f"{worker_id} is draining.")
        return
    waits_s = (_USUAL_GRACE_S if grace_s is None else grace_s) + _AFTER_GRACE_S
    deadline = time.monotonic() + waits_s
    try:
        while any(one["id"] == worker_id for one in _workers()):
            if time.monotonic() > deadline:
                raise CommandError(f"{worker_id} has not ended within {waits_s:.0f} s.")
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        click.echo(f"\n{worker_id} goes on draining.", err=True)
        sys.exit(INTERRUPTED)
    click.echo(f"{worker_id} has ended.")


def _workers() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = request("GET", "/v1/workers", admin=True)["data"]
    return listed
