"""`inference-service ps`: which models are in memory."""

from __future__ import annotations

import json

import click

from web.cli.connection import service_command


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def ps(as_json: bool) -> None:
    """List the models that are loaded, are being loaded, or failed to load."""
    from rich.table import Table

    from web.cli import model_rows
    from web.cli.console import console
    from web.cli.model_table import problems

    entries = model_rows.loaded()
    if as_json:
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    if not entries:
        click.echo("No model is loaded. Load one with: inference-service load MODEL", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "status", "MB in use", "context"):
        table.add_column(title, no_wrap=True)
    for entry in entries:
        memory, context = str(entry["memory_mb"] or ""), str(entry["context_length"])
        table.add_row(entry["id"], entry["status"], memory, context)
    terminal = console()
    terminal.print(table)
    for line in problems(entries, 0):
        terminal.print(line)
