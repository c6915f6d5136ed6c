"""The command `inference-service`. Commands import what they need when they run."""

from __future__ import annotations

import os
import sys

import click

import web
from web.cli.command_group import CommandGroup
from web.cli.startup import load_catalogue, load_settings, prepare_data_directory, warn


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(web.__version__, prog_name="inference-service")
def cli() -> None:
    """Serve language models with one OpenAI endpoint."""


@cli.command()
@click.option("--flower", is_flag=True, help="Start Flower too: queues and tasks in a browser.")
@click.option(
    "--preset", help="Start the models of this preset, as INFERENCE_CONFIG does. See: presets list."
)
@click.option("--force", is_flag=True, help="Start models even if they do not fit the memory.")
def up(flower: bool, preset: str | None, force: bool) -> None:
    """Start the whole service, and stop it with Ctrl-C."""
    from web.cli.up.command import run

    if preset is not None:  # for the processes that it starts too
        os.environ["INFERENCE_CONFIG"] = preset
        os.environ.pop("INFERENCE_PRELOAD_MODELS", None)
    settings = load_settings()
    prepare_data_directory(settings)
    load_catalogue(settings)
    warn(settings)
    sys.exit(run(settings, flower=flower, force=force))


@cli.command("web")
def web_() -> None:
    """Run the HTTP front end alone."""
    from web.access import key_file
    from web.access.keys import KeysError
    from web.server import serve
    from workers.runtime.ending import end_with_supervisor

    end_with_supervisor()
    settings = load_settings()
    try:
        key_file.read(settings.keys_file)
    except KeysError as error:
        click.echo(f"inference-service cannot start: {error}", err=True)
        sys.exit(2)
    load_catalogue(settings)
    serve(settings)


@cli.command()
@click.argument("model", required=False)
@click.option(
    "--orchestration", is_flag=True, help="Run the orchestration worker, which serves no model."
)
@click.option(
    "--device",
    "devices",
    type=click.IntRange(0),
    multiple=True,
    help="The GPU to run on, by its number in nvidia-smi. Repeat it for several GPUs.",
)
@click.option("--force", is_flag=True, help="Load the model even if it does not fit the memory.")
def worker(model: str | None, orchestration: bool, devices: tuple[int, ...], force: bool) -> None:
    """Run a worker of MODEL alone. Default: the default model."""
    from orchestration import worker as orchestration_worker
    from orchestration.prompts.template import PromptError
    from presets.catalogue import UnknownModel
    from workers.runtime import model_worker
    from workers.runtime.ending import end_with_supervisor

    if model and orchestration:
        raise click.UsageError("Name a model or --orchestration, not both.")
    end_with_supervisor()
    settings = load_settings()
    prepare_data_directory(settings)
    catalogue = load_catalogue(settings)
    if orchestration:
        try:
            sys.exit(orchestration_worker.run(settings))
        except PromptError as error:
            click.echo(f"inference-service cannot start: {error}", err=True)
            sys.exit(2)
    if model is None:
        model = catalogue.wanted(settings.preload_models, settings.config)[0]
    try:
        sys.exit(model_worker.run_model_worker(settings, model, devices=devices, force=force))
    except UnknownModel as error:
        click.echo(f"inference-service cannot start: {error}", err=True)
        sys.exit(2)


@cli.command()
def flower() -> None:
    """Run Flower alone: queues and tasks in a browser."""
    from web.cli.commands.flower import run
    from workers.runtime.ending import end_with_supervisor

    end_with_supervisor()
    sys.exit(run(load_settings()))
