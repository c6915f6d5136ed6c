"""`inference-service rm`: delete the files of a model."""

from __future__ import annotations

from pathlib import Path

import click

from web.cli import model_names
from web.cli.problem import CommandError
from web.cli.startup import load_catalogue, load_settings


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.option("--yes", "-y", is_flag=True, help="Delete without a question.")
def rm(model: str, yes: bool) -> None:
    """Delete the files of MODEL in INFERENCE_MODELS_DIR, after a question.

    Only files are deleted that `pull` or `models add` put there; of a link only the link. The
    catalogue still knows the model: `pull` gets it again.
    """
    from presets.catalogue import UnknownModel
    from presets.fetching import removal

    settings = load_settings()
    try:
        spec = load_catalogue(settings).get(model)
        removed = removal.plan(spec, settings.models_dir)
    except (UnknownModel, removal.NothingToRemove) as problem:
        raise CommandError(str(problem), 2) from None
    _require_unloaded(spec.id)
    click.echo(f"{len(removed.files)} files of {spec.id}, {removed.size_bytes / 1e9:.2f} GB:")
    for file in removed.files:
        click.echo(f"  {_shown(file)}")
    if not yes:
        try:
            confirmed = click.confirm("Delete them?")
        except click.Abort:
            confirmed = False
        if not confirmed:
            raise CommandError("Nothing was deleted. --yes deletes without a question.")
    try:
        removal.remove(removed)
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be deleted: {error.strerror}") from None
    click.echo(f"The files of {spec.id} are deleted.")
    described = (settings.catalogue_dir or Path()) / "models" / f"{spec.id}.yaml"
    if settings.catalogue_dir is not None and described.is_file():
        click.echo(f"Its description stays. To forget the model, delete {described}")


def _shown(file: Path) -> str:
    return f"{file} (a link; its target stays)" if file.is_symlink() else str(file)


def _require_unloaded(model: str) -> None:
    """Refuse to delete what a running service of this machine has in memory."""
    import httpx

    from web.cli import model_rows
    from web.cli.connection import service_address

    if service_address().is_elsewhere:
        return
    try:
        statuses = {entry["id"]: entry["status"] for entry in model_rows.loaded()}
    except (httpx.HTTPError, CommandError):  # nobody has it
        return
    if statuses.get(model) in ("loaded", "loading", "unloading"):
        raise CommandError(f"{model} is in use. First: inference-service stop {model}")
