"""`inference-service show`: what is known of one model."""

from __future__ import annotations

import json
from typing import Any

import click

from web.cli import model_names
from web.cli.connection import service_address, service_command
from web.cli.console import print_rows
from web.cli.problem import CommandError
from web.cli.startup import load_catalogue, load_settings

#: Of the column of names.
_NAMES_WIDTH = 14


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def show(model: str, as_json: bool) -> None:
    """Show MODEL: its state, size, memory, budgets, roles, files, and where they come from."""
    document = _document(model)
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    rows = []
    for name, value in document.items():
        if isinstance(value, dict):
            value = ", ".join(f"{part} {number}" for part, number in value.items())
        values = value if isinstance(value, list) else [value]
        for line, text in enumerate(values):
            if text not in (None, ""):
                rows.append((name.replace("_", " ") if line == 0 else "", str(text)))
    print_rows(rows, [_NAMES_WIDTH])


def _document(model: str) -> dict[str, Any]:
    from presets.catalogue import UnknownModel
    from presets.weights import weight_files
    from web.cli import model_rows

    settings = load_settings()
    catalogue = load_catalogue(settings)
    entries = {entry["id"]: entry for entry in model_rows.read(settings, catalogue)}
    if service_address().is_elsewhere:
        if model not in entries:
            names = ", ".join(sorted(entries))
            raise CommandError(f"The service has no model {model!r}. It has: {names}")
        return entries[model]
    try:
        spec = catalogue.get(model)
    except UnknownModel as unknown:
        if model in entries:  # the service has it, and this catalogue does not
            return entries[model]
        raise CommandError(str(unknown), 2) from None
    source = spec.hf.repo if spec.hf else None
    if spec.gguf is not None and spec.gguf.repo is not None:
        source = spec.gguf.repo
    return {
        **entries[spec.id],
        "absence": weight_files.absence(spec),
        "aliases": list(spec.aliases),
        "backend": spec.backend,
        "format": spec.format,
        "source": source,
        "notes": spec.notes,
    }
