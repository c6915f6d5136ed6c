"""What must hold before `up` starts anything: a port, memory, a data directory of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable

from web.cli.up import memory_lines
from workers.planning import catalogue as catalogue_
from workers.planning import memory_plan
from workers.settings import Settings
from workers.store import embedded


class Refusal(Exception):
    """The service cannot start; the message says why and what to do."""


def require_memory(
    settings: Settings, wanted: tuple[str, ...], say: Callable[[str], None], *, force: bool
) -> None:
    """Say the plan of the memory, and refuse one that does not fit.

    Raises:
        Refusal: it does not fit, and `force` is not set.
    """
    catalogue = catalogue_.load(settings)
    kept_bytes = memory_plan.standby_bytes(settings)
    machine = memory_plan.at_hand().keeping(kept_bytes)
    plan = memory_plan.plan(settings, map(catalogue.get, wanted), machine)
    for line in memory_lines.lines(plan, kept_bytes):
        say(line)
    if force:
        return
    if not plan.fits:
        raise Refusal(memory_lines.refusal(settings, catalogue, plan))
    if settings.memory_limit_mb is not None and plan.least_bytes > settings.memory_limit_mb * 2**20:
        raise Refusal(memory_lines.over_limit(plan, settings.memory_limit_mb))


def require_free_port(settings: Settings) -> None:
    """Refuse where the front end's port cannot be used.

    Raises:
        Refusal: something listens there, or the address is not this machine's.
    """
    host, port = settings.effective_host, settings.port
    if problem := port_problem(host, port):
        raise Refusal(
            f"port {port} of {host} cannot be used ({problem}). "
            "Is a service running there? Set INFERENCE_PORT to another."
        )


def port_problem(host: str, port: int) -> str | None:
    """Why a server cannot listen there; None where it can."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return None


def require_no_other(settings: Settings) -> None:
    """Refuse where another process runs the embedded server of the data directory.

    Raises:
        Refusal: names the process.
    """
    if (pid := embedded.holder(settings.data_dir)) is not None:
        raise Refusal(
            f"process {pid} already runs the embedded server of {settings.data_dir}. Is the "
            "service up already? Set INFERENCE_DATA_DIR to another directory for a second one."
        )
