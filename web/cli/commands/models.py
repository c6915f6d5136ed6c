"""`inference-service models`: the models, and which of them fit this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from web.cli.commands.show import show
from web.cli.connection import service_address, service_command
from web.cli.default_list import DefaultList
from web.cli.startup import load_catalogue, load_settings


@click.group(cls=DefaultList)
def models() -> None:
    """List the models, show one, or add a model file. Lists them where no command is named."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def list_(as_json: bool) -> None:
    """List the models: their state, their size, and whether they fit this machine."""
    from presets.weights import weight_files
    from web.cli import model_rows
    from web.cli.console import console
    from web.cli.model_table import model_table, problems

    settings = load_settings()
    catalogue = load_catalogue(settings)
    entries = model_rows.read(settings, catalogue)
    if not service_address().is_elsewhere:
        for file in weight_files.unserved(settings.models_dir, catalogue.all()):
            click.echo(f"{file.path} is not served: {file.reason}", err=True)
    if as_json:
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    terminal = console()
    terminal.print(model_table(entries, terminal.width))
    for line in problems(entries, terminal.width):
        terminal.print(line)
    if any(entry["status"] == "missing" for entry in entries):
        unset = "" if settings.models_dir else "set INFERENCE_MODELS_DIR; "
        click.echo(f"To get missing models: {unset}inference-service pull MODEL", err=True)


models.add_command(show)


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "model_id", help="The id of the model. Default: the name of the file.")
@click.option(
    "--copy/--link", "copy", default=False, help="Copy the file, or link to it. Default: link."
)
def add(file: Path, model_id: str | None, copy: bool) -> None:
    """Add FILE, a GGUF file, to the catalogue.

    The command writes models/<id>.yaml in INFERENCE_CATALOGUE_DIR from the file's metadata, and
    links the file into INFERENCE_MODELS_DIR.
    """
    from presets.fetching.adding import AddError
    from presets.fetching.adding import add as add_

    settings = load_settings()
    catalogue = load_catalogue(settings)
    models_dir = _required("INFERENCE_MODELS_DIR", settings.models_dir)
    catalogue_dir = _required("INFERENCE_CATALOGUE_DIR", settings.catalogue_dir)
    try:
        added = add_(
            file,
            catalogue,
            models_dir.absolute(),
            catalogue_dir,
            model_id=model_id,
            copy=copy,
        )
    except (AddError, OSError) as error:
        click.echo(f"inference-service models add: {error}", err=True)
        sys.exit(1)
    click.echo(
        f"{added.spec.id} is added. Its description is {added.description}, which you may edit."
    )
    click.echo(f"Start it with: INFERENCE_PRELOAD_MODELS={added.spec.id} inference-service up")


def _required(variable: str, value: Path | None) -> Path:
    """The directory that a variable names; ends the command where it names none."""
    if value is None:
        reason = f"{variable} is not set. Set it to a directory that this command may write to."
        click.echo(f"inference-service models add: {reason}", err=True)
        sys.exit(2)
    return value
