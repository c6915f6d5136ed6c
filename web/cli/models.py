"""`inference-service models`."""

from __future__ import annotations

from typing import Any

import click
import httpx
from rich.table import Table

from web.cli.console import console
from web.cli.up import address
from web.keys import authorization
from workers import catalogue as catalogue_
from workers.settings import Settings


def run(settings: Settings) -> None:
    """Print a table of the models."""
    try:
        answer = httpx.get(
            f"{address(settings)}/v1/models", headers=authorization(settings), timeout=5.0
        )
        answer.raise_for_status()
        entries = answer.json()["data"]
    except httpx.HTTPStatusError as error:
        click.echo(f"The service answered {error.response.status_code}.", err=True)
        entries = _of_catalogue(settings)
    except (httpx.HTTPError, ValueError):
        click.echo(f"No service answers at {address(settings)}; this is the catalogue.", err=True)
        entries = _of_catalogue(settings)
    table = Table("model", "status", "memory MB", "context", "roles", "", box=None)
    for entry in entries:
        failure = entry.get("error") or {}
        table.add_row(
            entry["id"],
            entry["status"],
            str(entry["memory_mb"]),
            str(entry["context_length"]),
            ", ".join(entry["roles"]),
            failure.get("message", ""),
        )
    console().print(table)


def _of_catalogue(settings: Settings) -> list[dict[str, Any]]:
    catalogue = catalogue_.load(settings)
    present = {spec.id for spec in catalogue.present}
    return [
        {
            "id": spec.id,
            "status": "available" if spec.id in present else "missing",
            "memory_mb": catalogue.estimate_bytes(spec) // 2**20,
            "context_length": spec.context_length,
            "roles": spec.roles,
        }
        for spec in catalogue.all()
    ]
