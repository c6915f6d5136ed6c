"""`inference-service models`: which models there are, and what could run here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import httpx
from rich.table import Table

from presets.catalogue import Catalogue
from presets.memory import machine
from presets.memory.machine import Machine
from presets.model import ModelSpec
from presets.weights import weight_files
from web.cli.console import console
from web.cli.startup import load_catalogue, load_settings
from workers.planning import memory_plan
from workers.settings import Settings

_GB = 10**9
#: Statuses of models that no worker has, which come last.
_ORDER = {"available": 1, "present": 1, "missing": 2}


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models, and add files of your own."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for a program.")
def list_(as_json: bool) -> None:
    """List models: whether they are there or run, their size, and whether they fit this machine."""
    settings = load_settings()
    entries = _entries(settings, load_catalogue(settings), _running(settings))
    if as_json:
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    table = Table(box=None)
    for name in ("model", "status", "GB", "memory MB", "fits", "context", "roles"):
        table.add_column(name, no_wrap=name != "roles")
    table.add_column("files, those that are missing where some are", overflow="fold")
    for entry in entries:
        table.add_row(
            entry["id"],
            entry["status"],
            f"{entry['size_gb']:.1f}",
            str(entry["memory_mb"] or ""),
            entry["fits"],
            str(entry["context_length"]),
            ", ".join(entry["roles"]),
            entry["error"] or ", ".join(Path(file).name for file in entry["files"]),
        )
    console().print(table)
    if any(entry["status"] == "missing" for entry in entries):
        unset = "" if settings.models_dir else "set INFERENCE_MODELS_DIR, then "
        click.echo(f"To fetch what is missing: {unset}inference-service pull MODEL", err=True)


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "model_id", help="What to call it; else what the file is called.")
@click.option("--copy/--link", "copy", default=False, help="Copy the file, or link to it (as is).")
def add(file: Path, model_id: str | None, copy: bool) -> None:
    """Make FILE, a GGUF, a model of yours.

    Writes models/<id>.yaml in INFERENCE_CATALOGUE_DIR from the file's own metadata, and links the
    file into the models directory.
    """
    from presets.fetching.adding import AddError
    from presets.fetching.adding import add as add_

    settings = load_settings()
    catalogue = load_catalogue(settings)
    for variable, value in (
        ("INFERENCE_MODELS_DIR", settings.models_dir),
        ("INFERENCE_CATALOGUE_DIR", settings.catalogue_dir),
    ):
        if value is None:
            told = f"set {variable} to a directory of yours; it is written to"
            click.echo(f"inference-service models add: {told}", err=True)
            sys.exit(2)
    assert settings.models_dir is not None
    assert settings.catalogue_dir is not None
    try:
        added = add_(
            file,
            catalogue,
            settings.models_dir.absolute(),
            settings.catalogue_dir,
            model_id=model_id,
            copy=copy,
        )
    except (AddError, OSError) as error:
        click.echo(f"inference-service models add: {error}", err=True)
        sys.exit(1)
    click.echo(f"{added.spec.id} is described in {added.description}; change there what you like")
    click.echo(f"start with: INFERENCE_PRELOAD_MODELS={added.spec.id} inference-service up")


def _running(settings: Settings) -> dict[str, dict[str, Any]]:
    """What a running service says of its models, by id."""
    from web.access.keys import authorization
    from web.cli.up.command import address

    url = address(settings)
    try:
        answer = httpx.get(f"{url}/v1/models", headers=authorization(settings), timeout=5.0)
        answer.raise_for_status()
        return {entry["id"]: entry for entry in answer.json()["data"]}
    except httpx.HTTPStatusError as error:
        told = f"The service at {url} answered {error.response.status_code}"
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        told = f"No service answers at {url}"
    click.echo(f"{told}; this is the catalogue.", err=True)
    return {}


def _entries(
    settings: Settings, catalogue: Catalogue, running: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row for each model, those first that run; the service may know some that are not here."""
    on = machine.read().emptied()
    entries = [
        _entry(catalogue, spec, running.get(spec.id), _fits(settings, spec, on))
        for spec in catalogue.all()
    ]
    entries += [
        {**dict.fromkeys(entries[0]), **_told(entry), "size_gb": 0.0, "fits": "", "files": []}
        for model_id, entry in running.items()
        if not catalogue.has(model_id)
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
        "roles": list(spec.roles),
        "files": [str(file) for file in missing or weight_files.files(spec)],
        "error": None,
    }
    if running is not None and running["status"] != "available":
        entry |= _told(running)
    return entry


def _told(running: dict[str, Any]) -> dict[str, Any]:
    """What the service says of a model better than the catalogue."""
    names = ("id", "status", "memory_mb", "context_length", "roles")
    error = running.get("error") or {}
    return {**{name: running[name] for name in names}, "error": error.get("message")}


def _fits(settings: Settings, spec: ModelSpec, on: Machine) -> str:
    """What a model alone leaves of a machine's memory."""
    return memory_plan.plan(settings, [spec], on).verdict
