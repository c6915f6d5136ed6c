"""`inference-service presets`: what could run together, and whether this machine has it."""

from __future__ import annotations

import json
import sys

import click
import psutil
from rich.table import Table

from presets.catalogue import Catalogue, UnknownPreset
from presets.preset import Preset
from presets.pressure import pressure
from web.cli.console import console

_GB = 10**9


@click.group()
def presets() -> None:
    """List and show presets: models that run together."""


@presets.command("list")
@click.option("--mode", help="Only presets of this mode.")
@click.option("--fits", is_flag=True, help="Only presets whose weights fit this machine's memory.")
def list_(mode: str | None, fits: bool) -> None:
    """List presets: size, what they would leave of the memory, and which files are missing."""
    catalogue = _catalogue()
    total = psutil.virtual_memory().total
    table = Table(box=None)
    for name in ("preset", "mode", "GB", "memory", "models", "missing"):
        table.add_column(name, overflow="fold", no_wrap=name in ("preset", "mode", "GB", "memory"))
    for preset in catalogue.presets():
        size = _size(catalogue, preset)
        told = pressure(size, total)
        if (mode and preset.mode != mode) or (fits and told == "does not fit"):
            continue
        missing = "\n".join(_missing(catalogue, preset))
        models = "\n".join(preset.models)
        table.add_row(preset.id, preset.mode, f"{size / _GB:.1f}", told, models, missing)
    console().print(table)


@presets.command()
@click.argument("preset")
def show(preset: str) -> None:
    """Show a preset as JSON."""
    catalogue = _catalogue()
    try:
        found = catalogue.preset(preset)
    except UnknownPreset as unknown:
        click.echo(f"inference-service: {unknown}", err=True)
        sys.exit(2)
    size = _size(catalogue, found)
    told = {
        "id": found.id,
        "mode": found.mode,
        "models": found.parts(),
        "hardware": found.hardware,
        "size_gb": round(size / _GB, 1),
        "memory": pressure(size, psutil.virtual_memory().total),
        "missing": _missing(catalogue, found),
        **({"note": found.note} if found.note else {}),
    }
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _catalogue() -> Catalogue:
    from web.cli.main import load_catalogue, load_settings

    return load_catalogue(load_settings())


def _size(catalogue: Catalogue, preset: Preset) -> int:
    return sum(catalogue.estimate_bytes(catalogue.get(model)) for model in preset.models)


def _missing(catalogue: Catalogue, preset: Preset) -> list[str]:
    present = {spec.id for spec in catalogue.present}
    return [model for model in preset.models if model not in present]
