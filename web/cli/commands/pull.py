"""`inference-service pull`: download the files of a model, or of a preset's models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from presets import backends
from presets.backends import Weights
from presets.catalogue import Catalogue, UnknownModel, UnknownPreset
from presets.model import ModelSpec
from presets.weights import weight_files
from web.cli.startup import load_catalogue, load_settings

if TYPE_CHECKING:
    from presets.fetching.hub import Hub
    from presets.fetching.pulling import Pull

#: The shell's status of a command that Ctrl-C ended.
_INTERRUPTED = 130


@click.command()
@click.argument("name", metavar="MODEL|PRESET")
@click.option(
    "--hf", is_flag=True, help="Download the safetensors files that vLLM reads, not the GGUF file."
)
def pull(name: str, hf: bool) -> None:
    """Download MODEL, or the missing models of PRESET, into INFERENCE_MODELS_DIR.

    A download that stops is kept: the same command continues it. HF_TOKEN gives access to gated
    models. HF_ENDPOINT names another hub.
    """
    from presets.fetching.hub import Hub
    from presets.fetching.pulling import require_room
    from presets.fetching.repository import PullError

    settings = load_settings()
    catalogue = load_catalogue(settings)
    specs, to_run = _named(catalogue, name, hf=hf)
    if settings.models_dir is None:
        _fail("INFERENCE_MODELS_DIR is not set. Set it to the directory for model files.", status=2)
    models_dir = settings.models_dir.absolute()
    try:
        hub = Hub()
        pulls = [pull for spec in specs for pull in _pulls(hub, spec, models_dir, hf=hf)]
        left = sum(pull.left_bytes for pull in pulls)
        require_room(pulls, models_dir)
        if left:
            click.echo(f"{left / 1e9:.2f} GB to download into {models_dir}")
        for pull_ in pulls:
            _bring(hub, pull_)
    except PullError as error:
        _fail(str(error), status=1)
    except KeyboardInterrupt:
        _fail("The download stopped. The same command continues it.", status=_INTERRUPTED)
    click.echo(f"Start it with: {to_run}")


def _named(catalogue: Catalogue, name: str, *, hf: bool) -> tuple[list[ModelSpec], str]:
    """What to download for `name`, and what starts it; an unknown name ends the process.

    Of a preset, the missing models. The files of a model that is named are compared with the hub's.
    """
    try:
        spec = catalogue.get(name)
        return [spec], f"INFERENCE_PRELOAD_MODELS={spec.id} inference-service up"
    except UnknownModel as unknown_model:
        try:
            preset = catalogue.preset(name)
        except UnknownPreset as unknown_preset:
            nearest = [u.suggestion for u in (unknown_model, unknown_preset) if u.suggestion]
            hint = f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
            _fail(f"There is no model and no preset {name!r}{hint}", status=2)
    wanted = []
    for model in preset.models:
        spec = catalogue.get(model)
        if hf or weight_files.missing(spec):
            wanted.append(spec)
        else:
            click.echo(f"{spec.id} is there")
    return wanted, f"inference-service up --preset {preset.id}"


def _pulls(hub: Hub, spec: ModelSpec, models_dir: Path, *, hf: bool) -> Iterator[Pull]:
    """The files that a model needs."""
    from presets.fetching.pulling import Pull
    from presets.fetching.repository import PullError, gguf_files, safetensors_files

    if hf or backends.get(spec.backend).weights is Weights.SAFETENSORS:
        if spec.hf is None:
            raise PullError(f"the catalogue names no safetensors of {spec.id}")
        repo = spec.hf.repo
        files = safetensors_files(hub.files(repo), repo)
    elif spec.gguf is None or spec.gguf.repo is None:
        if weight_files.missing(spec):
            raise PullError(f"{spec.id} cannot be downloaded: {weight_files.absence(spec)}")
        click.echo(f"{spec.id} is there. The catalogue names no repository to compare it with.")
        return
    else:
        repo = spec.gguf.repo
        files = gguf_files(hub.files(repo), repo, spec.gguf.file)
    size = sum(file.size_bytes for file in files)
    number = "1 file" if len(files) == 1 else f"{len(files)} files"
    click.echo(f"{spec.id}: {number}, {size / 1e9:.2f} GB, of {repo}")
    for file in files:
        yield Pull(file, models_dir / spec.id)


def _bring(hub: Hub, pull: Pull) -> None:
    from presets.fetching.pulling import fetch, is_right

    name, size = pull.file.local_name, pull.file.size_bytes
    with _progress() as progress:
        checking = progress.add_task(f"checking {name}", total=size, visible=pull.target.exists())
        if is_right(pull, lambda done: progress.update(checking, completed=done)):
            click.echo(f"{pull.target} is there, and its checksum is right.")
            return
        kept = pull.kept_bytes
        if kept:
            click.echo(f"{name}: continuing after {kept / 1e9:.2f} GB")
        getting = progress.add_task(name, total=size, completed=kept)
        fetch(
            hub,
            pull,
            lambda done: progress.update(getting, completed=done),
            lambda done: progress.update(checking, completed=done, visible=True),
        )
    click.echo(f"{pull.target} is downloaded, and its checksum is right.")


@contextmanager
def _progress() -> Iterator[Progress]:
    """Progress bars on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as it:
        yield it


def _fail(reason: str, *, status: int) -> NoReturn:
    click.echo(f"inference-service pull: {reason}", err=True)
    sys.exit(status)
