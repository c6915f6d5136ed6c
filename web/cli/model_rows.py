"""The models of the catalogue, each with what the running service says of it."""

from __future__ import annotations

from typing import Any

import click
import httpx

from presets.catalogue import Catalogue
from presets.memory import machine
from presets.memory.machine import Machine
from presets.model import ModelSpec
from presets.weights import weight_files
from web.cli.connection import request, service_address
from web.cli.problem import CommandError
from workers.planning import memory_plan
from workers.settings import Settings

_GB = 10**9
#: Statuses of models that no worker has, which come last.
_ORDER = {"available": 1, "present": 1, "missing": 2}


def read(settings: Settings, catalogue: Catalogue) -> list[dict[str, Any]]:
    """A row for each model of this machine, with what the service says of it.

    Of a service elsewhere a row for each of its models: this machine's catalogue says nothing of
    them.

    Raises:
        httpx.HTTPError: no service answers elsewhere.
        CommandError: something else answers there.
    """
    service = service_address()
    if service.is_elsewhere:
        return [_elsewhere(entry) for entry in request("GET", "/v1/models")["data"]]
    running: dict[str, dict[str, Any]] = {}
    try:
        listed = request("GET", "/v1/models", timeout=5.0)["data"]
        running = {entry["id"]: entry for entry in listed}
    except httpx.HTTPStatusError as error:
        problem = f"The service at {service.url} answers with status {error.response.status_code}."
        click.echo(f"{problem} This is the catalogue.", err=True)
    except (httpx.HTTPError, CommandError):
        click.echo(f"No service answers at {service.url}. This is the catalogue.", err=True)
    return rows(settings, catalogue, running)


def loaded() -> list[dict[str, Any]]:
    """A row for each model that a worker of the service has, or tries to have.

    Raises:
        httpx.HTTPError: no service answers.
        CommandError: something else answers.
    """
    entries = (_elsewhere(entry) for entry in request("GET", "/v1/models")["data"])
    return [entry for entry in entries if entry["status"] not in _ORDER]


def rows(
    settings: Settings, catalogue: Catalogue, running: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row for each model, those first that run; the service may know some that are not here."""
    on = machine.read().emptied()
    entries = [
        _entry(catalogue, spec, running.get(spec.id), _fits(settings, spec, on))
        for spec in catalogue.all()
    ]
    entries += [
        _elsewhere(entry) for model_id, entry in running.items() if not catalogue.has(model_id)
    ]
    entries.sort(key=lambda entry: _ORDER.get(entry["status"], 0))
    return entries


def _entry(
    catalogue: Catalogue, spec: ModelSpec, running: dict[str, Any] | None, fits: str
) -> dict[str, Any]:
    missing = weight_files.missing(spec)
    size = catalogue.estimate_bytes(spec)
    entry: dict[str, Any] = {
        "id": spec.id,
        "status": "missing" if missing else "present",
        "size_gb": round(size / _GB, 2),
        "memory_mb": None,
        "fits": fits,
        "context_length": spec.context_length,
        "budgets": spec.budgets.to_dict(),
        "roles": list(spec.roles),
        "files": [str(file) for file in missing or weight_files.files(spec)],
        "error": None,
    }
    if running is not None and running["status"] != "available":
        reported = _as_reported(running)
        entry |= {**reported, "budgets": reported["budgets"] or entry["budgets"]}
    return entry


def _elsewhere(running: dict[str, Any]) -> dict[str, Any]:
    """The row of a model whose files are on another machine."""
    return {"size_gb": None, "fits": "", "files": [], **_as_reported(running)}


def _as_reported(running: dict[str, Any]) -> dict[str, Any]:
    """What the service says of a model better than the catalogue."""
    names = ("id", "status", "memory_mb", "context_length", "roles")
    error = running.get("error") or {}
    return {
        **{name: running[name] for name in names},
        "budgets": running.get("budgets"),  # a service of the version before has none
        "error": error.get("message"),
    }


def _fits(settings: Settings, spec: ModelSpec, on: Machine) -> str:
    """What a model alone leaves of a machine's memory."""
    return memory_plan.plan(settings, [spec], on).verdict
