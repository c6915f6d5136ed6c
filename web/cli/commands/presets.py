"""`inference-service presets`: models that run together, and whether they fit this machine."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from orchestration.modes import registry
from presets.catalogue import Catalogue, UnknownPreset
from web.cli.startup import load_catalogue, load_settings

if TYPE_CHECKING:
    from presets.memory.machine import Machine
    from presets.memory.plan import Plan
    from presets.preset import Preset
    from workers.settings import Settings


@click.group()
def presets() -> None:
    """List and show presets: models that run together."""


@presets.command("list")
@click.option("--mode", type=click.Choice(registry.names()), help="List only presets of this mode.")
@click.option("--fits", is_flag=True, help="List only presets that fit this machine's memory.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(mode: str | None, fits: bool, as_json: bool) -> None:
    """List the presets: their memory, whether they fit, and which models are missing.

    The memory is what the models take with their smallest KV pools. The fit is for this machine
    when nothing else runs on it.
    """
    from rich.table import Table

    from web.cli.console import console
    from web.cli.up import memory_lines

    settings, catalogue, on = _read()
    table = Table(box=None)
    for name in ("preset", "mode", "GB", "memory", "models"):
        table.add_column(name, no_wrap=True)
    entries = []
    for preset in catalogue.presets():
        plan = _plan(settings, catalogue, preset, on)
        if (mode and preset.mode != mode) or (fits and not plan.fits):
            continue
        missing = _missing(catalogue, preset)
        least_gb = memory_lines.gb(plan.least_bytes)
        entries.append(
            {
                "id": preset.id,
                "mode": preset.mode,
                "least_gb": float(least_gb),
                "memory": plan.verdict,
                "models": list(preset.models),
                "missing": missing,
            }
        )
        names = (f"{name} (missing)" if name in missing else name for name in preset.models)
        table.add_row(preset.id, preset.mode, least_gb, plan.verdict, "\n".join(names))
    if as_json:
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        console().print(table)


@presets.command()
@click.argument("preset")
def show(preset: str) -> None:
    """Show PRESET as JSON: its models, the part of each, and its place in memory."""
    from web.cli.up import memory_lines

    settings, catalogue, on = _read()
    try:
        shown = catalogue.preset(preset)
    except UnknownPreset as unknown:
        click.echo(f"inference-service: {unknown}", err=True)
        sys.exit(2)
    plan = _plan(settings, catalogue, shown, on)
    size = sum(catalogue.estimate_bytes(catalogue.get(model)) for model in shown.models)
    document = {
        "id": shown.id,
        "mode": shown.mode,
        "models": shown.parts(),
        **({"members": shown.members} if shown.members else {}),
        "hardware": shown.hardware,
        "size_gb": float(memory_lines.gb(size)),
        "memory": plan.verdict,
        "plan": memory_lines.table(plan),
        "missing": _missing(catalogue, shown),
        **({"note": shown.note} if shown.note else {}),
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _read() -> tuple[Settings, Catalogue, Machine]:
    from presets.memory import machine

    settings = load_settings()
    return settings, load_catalogue(settings), machine.read().emptied()


def _plan(settings: Settings, catalogue: Catalogue, preset: Preset, on: Machine) -> Plan:
    from workers.planning import memory_plan

    return memory_plan.plan(settings, map(catalogue.get, preset.models), on)


def _missing(catalogue: Catalogue, preset: Preset) -> list[str]:
    present = {spec.id for spec in catalogue.present}
    return [model for model in preset.models if model not in present]
