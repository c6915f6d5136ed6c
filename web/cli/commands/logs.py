"""`inference-service logs`: what the processes of `up` say."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from web.cli.problem import CommandError
from web.cli.startup import load_settings


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(name) for name in _files() if name.startswith(incomplete)]


@click.command()
@click.argument("process", required=False, shell_complete=_complete)
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "--lines",
    "-n",
    default=50,
    show_default=True,
    type=click.IntRange(0, 100_000),
    help="The last lines to begin with, of each process.",
)
def logs(process: str | None, follow: bool, lines: int) -> None:
    """Print the log of PROCESS, or of all processes that `up` started on this machine.

    PROCESS is web, orchestration, redis, flower, or the name of a model.
    """
    from web.cli.log_files import LogFile

    files = _files()
    if not files:
        logs_dir = load_settings().data_dir / "logs"
        raise CommandError(f"There are no logs in {logs_dir}. `inference-service up` writes them.")
    if process is not None:
        name = process if process in files else f"worker-{process}"
        if name not in files:
            raise CommandError(f"There is no log of {process!r}. There are: {', '.join(files)}", 2)
        files = {name: files[name]}
    width = max(map(len, files)) if len(files) > 1 else 0
    opened = [LogFile(path, f"{name:<{width}} | " if width else "") for name, path in files.items()]
    for file in opened:
        for line in file.last_lines(lines):
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


def _files() -> dict[str, Path]:
    """The logs of this machine's service, by the names of their processes."""
    logs_dir = load_settings().data_dir / "logs"
    return {path.stem: path for path in sorted(logs_dir.glob("*.log"))}
