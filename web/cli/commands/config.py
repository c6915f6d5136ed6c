"""`inference-service config`: the effective settings and where each came from."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from web.cli.console import column_widths, print_rows
from web.cli.startup import load_settings
from workers.settings import Settings, pages, warnings
from workers.settings.table import SUBJECTS, variables


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--markdown", is_flag=True, hidden=True, help="Print docs/SETTINGS.md.")
@click.option("--env-example", is_flag=True, hidden=True, help="Print .env.example.")
def config(as_json: bool, markdown: bool, env_example: bool) -> None:
    """Show each setting, its value and where it comes from. Secrets are masked."""
    if markdown:
        click.echo(pages.markdown(), nl=False)
        return
    if env_example:
        click.echo(pages.env_example(), nl=False)
        return
    settings = load_settings()
    warned = warnings(settings, os.environ)
    if as_json:
        click.echo(json.dumps({**_document(settings), "warnings": warned}, indent=2))
        return
    _print(settings)
    for warning in warned:
        click.echo(f"warning: {warning}", err=True)


def _rows(settings: Settings, subject: type) -> list[dict[str, Any]]:
    return [
        {
            "variable": variable.name,
            "value": variable.shown(getattr(settings, name)),
            "source": settings.sources.get(name, "default"),
            "unset": variable.unset,
            "used_from": variable.used_from,
        }
        for name, variable, _ in variables(subject)
    ]


def _document(settings: Settings) -> dict[str, Any]:
    entries = [row for subject in SUBJECTS.values() for row in _rows(settings, subject)]
    return {
        "settings": [{**row, "value": row["value"] or None} for row in entries],
        "effective": {
            "bind": settings.bind,
            "keys_needed": settings.has_keys,
            "queue_strategy": settings.effective_queue_strategy,
        },
    }


def _print(settings: Settings) -> None:
    by_heading = {
        heading: [(row["variable"], row["source"], _shown(row)) for row in _rows(settings, subject)]
        for heading, subject in SUBJECTS.items()
    }
    widths = column_widths([row for rows in by_heading.values() for row in rows])
    for heading, rows in by_heading.items():
        click.echo(f"# {heading}")
        print_rows(rows, widths)
        click.echo()
    click.echo(f"The service listens on {settings.bind}.")
    click.echo(f"API keys are {'needed' if settings.has_keys else 'not needed'}.")
    click.echo(f"The queue strategy is {settings.effective_queue_strategy}.")


def _shown(row: dict[str, Any]) -> str:
    if row["value"]:
        return str(row["value"])
    return f"(unset: {row['unset']})" if row["unset"] else "(unset)"
