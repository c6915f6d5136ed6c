"""Names of models, for the completion of shells."""

from __future__ import annotations

import click


def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the catalogue that begin with what was typed."""
    from web.cli.startup import load_catalogue, load_settings

    ids = (spec.id for spec in load_catalogue(load_settings()).all())
    return [model_id for model_id in ids if model_id.startswith(incomplete)]
