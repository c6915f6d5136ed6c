"""`inference-service status`: whether the service would answer."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from web.cli.connection import connect, service_address, service_command
from web.cli.console import print_rows
from web.cli.problem import CommandError

#: Of the column of names.
_NAMES_WIDTH = 8


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def status(as_json: bool) -> None:
    """Show whether the service is ready, and why not. Exits with 1 if it is not."""
    document = _document()
    ready = document["status"] == "ready"
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        sys.exit(0 if ready else 1)
    rows = [
        ("service", f"{document['url']}, version {document['version']}"),
        ("state", document["status"]),
    ]
    if not ready:
        rows.append(("reason", document.get("reason", "unknown")))
    if document.get("config"):
        rows.append(("preset", document["config"]))
    for number, model in enumerate(document.get("models", [])):
        rows.append(("models" if number == 0 else "", f"{model['id']}: {model['status']}"))
    print_rows(rows, [_NAMES_WIDTH])
    sys.exit(0 if ready else 1)


def _document() -> dict[str, Any]:
    """What `/health` and `/health/ready` say; neither needs a key."""
    url = service_address().url
    with connect(timeout_s=10.0) as client:
        health, readiness = client.get("/health"), client.get("/health/ready")
    try:
        document = {"url": url, "version": health.json()["version"], **readiness.json()}
        document["status"]
    except (ValueError, KeyError, TypeError):
        raise CommandError(
            f"{url} answers, and not as this service does. Is that an inference-service?"
        ) from None
    return document
