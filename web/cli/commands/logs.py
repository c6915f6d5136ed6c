"""`inference-service logs`: what the processes of `up` say."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from web.cli.problem import CommandError
from web.cli.startup import load_settings

#: The last lines of each process, and those with an id of all processes, where no number is given.
_LAST, _FOUND = 50, 1000


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(name) for name in _files() if name.startswith(incomplete)]


@click.command()
@click.argument("process", required=False, shell_complete=_complete)
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "--id",
    "wanted",
    help="Only lines about the job, the request (X-Request-ID) or the trace of this id.",
)
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0, 100_000),
    help=f"The last lines to begin with, of each process: {_LAST} if left out. With --id of all "
    f"processes together: {_FOUND}.",
)
def logs(process: str | None, follow: bool, wanted: str | None, lines: int | None) -> None:
    """Print the log of PROCESS, or of all processes that `up` started on this machine.

    PROCESS is web, orchestration, redis, flower, or the name of a model.
    """
    from web.cli import log_search
    from web.cli.log_files import LogFile

    files = _chosen(process)
    width = max(map(len, files)) if len(files) > 1 else 0
    prefixes = {name: f"{name:<{width}} | " if width else "" for name in files}
    opened = [
        LogFile(path, prefixes[name], log_search.LineFilter([wanted]).passes if wanted else None)
        for name, path in files.items()
    ]
    if wanted:
        for file in opened:
            file.skip()
        named = {prefixes[name]: path for name, path in files.items()}
        for found in log_search.search(named, wanted, _FOUND if lines is None else lines):
            click.echo(found.text)
    else:
        for file in opened:
            for line in file.last_lines(_LAST if lines is None else lines):
                click.echo(line)
    try:
        while follow:
            news = [line for file in opened for line in file.new_lines()]
            for line in news:
                click.echo(line)
            if not news:
                LogFile.wait()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)


def _chosen(process: str | None) -> dict[str, Path]:
    """The logs that are asked for, by the names of their processes."""
    files = _files()
    if not files:
        logs_dir = load_settings().data_dir / "logs"
        raise CommandError(f"There are no logs in {logs_dir}. `inference-service up` writes them.")
    if process is None:
        return files
    name = process if process in files else f"worker-{process}"
    if name not in files:
        raise CommandError(f"There is no log of {process!r}. There are: {', '.join(files)}", 2)
    return {name: files[name]}


def _files() -> dict[str, Path]:
    """The logs of this machine's service, by the names of their processes."""
    logs_dir = load_settings().data_dir / "logs"
    return {path.stem: path for path in sorted(logs_dir.glob("*.log"))}
