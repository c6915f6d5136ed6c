"""`inference-service workers`: the worker processes of all hosts."""

from __future__ import annotations

import json

import click

from web.cli.connection import request, service_command


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def workers(as_json: bool) -> None:
    """List the worker processes of all hosts."""
    from rich.table import Table

    from web.cli.console import console

    listed = request("GET", "/v1/workers", admin=True)["data"]
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("host", "model", "status", "MB", "id"):
        table.add_column(title, overflow="fold")
    for one in listed:
        memory = str(one["memory_mb"] or "")
        table.add_row(one["host"], one["model"] or "-", one["status"], memory, one["id"])
    console().print(table)
