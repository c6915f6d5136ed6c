"""A download as a terminal shows it: what is there, what is to come, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from presets.fetching.hub import Hub
    from presets.fetching.pulling import Pull
    from presets.fetching.repository import HubFile


def announced(model: str, repo: str, files: Sequence[HubFile], directory: Path) -> list[Pull]:
    """The pulls of a model's files, after a line that says how much they are."""
    from presets.fetching.pulling import Pull

    size = sum(file.size_bytes for file in files)
    number = "1 file" if len(files) == 1 else f"{len(files)} files"
    click.echo(f"{model}: {number}, {size / 1e9:.2f} GB, of {repo}")
    return [Pull(file, directory) for file in files]


def bring(hub: Hub, pulls: Sequence[Pull], models_dir: Path) -> None:
    """Fetch what is not there yet, and check what is.

    Raises:
        PullError: the disk has too little room, the hub refuses, or another file is in the place.
    """
    from presets.fetching.pulling import require_room

    require_room(pulls, models_dir)
    if left := sum(pull.left_bytes for pull in pulls):
        click.echo(f"{left / 1e9:.2f} GB to download into {models_dir}")
    for pull in pulls:
        _bring(hub, pull)


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
