"""One run of `inference-service evaluate`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from presets.catalogue import UnknownPreset
from presets.preset import Preset
from web.cli.connection import connect, service_address
from web.cli.console import console, print_text
from web.cli.startup import load_catalogue, load_settings
from web.cli.up.preset_service import StartError, serving
from web.cli.up.readiness import address
from web.evaluate import comparison, page, report, tasks
from web.evaluate.asks import Options
from web.evaluate.evaluation import Evaluation, Progress
from web.evaluate.ledger import Ledger, LedgerError
from web.evaluate.service import ServiceUnderTest

_GOES_ON = "The answers so far are kept. The same command continues from there."


def run(
    names: str,
    tasks_file: Path | None,
    out: Path,
    in_flight: int,
    *,
    start: bool,
    max_tokens: int | None,
    temperature: float | None,
) -> int:
    """Ask what is missing, write the reports and print the table; returns the exit status.

    Raises:
        httpx.HTTPError: the service refuses, or does not answer.
    """
    tasks_file = tasks_file or tasks.SHIPPED
    try:
        questions = tasks.read(tasks_file)
        ledger = Ledger.open(out / "answers.jsonl")
    except (tasks.TaskFileError, LedgerError) as error:
        raise click.UsageError(str(error)) from None
    presets = _presets(names)
    evaluation = Evaluation(questions, Options(max_tokens, temperature), ledger)
    if start and service_address().is_elsewhere:
        raise click.UsageError("--start starts a service here; it cannot be given with --url.")
    try:
        skipped = _ask(evaluation, presets, out, in_flight, start=start)
    except KeyboardInterrupt:
        click.echo(f"\nThe evaluation stopped. {_GOES_ON}", err=True)
        return 130
    except httpx.HTTPError:
        click.echo(_GOES_ON, err=True)
        raise
    rows = comparison.compare(evaluation, presets)
    written = report.report(evaluation, rows, skipped, tasks_file.name)
    _write(out, written, rows)
    _print(rows, skipped, out)
    return 1 if skipped else 0


def _presets(names: str) -> list[Preset]:
    known = load_catalogue(load_settings())
    try:
        return [known.preset(name.strip()) for name in names.split(",") if name.strip()]
    except UnknownPreset as error:
        raise click.UsageError(f"--presets: {error}") from None


def _ask(
    evaluation: Evaluation, presets: Sequence[Preset], out: Path, in_flight: int, *, start: bool
) -> dict[str, str]:
    """Ask what is missing; returns why presets did not run."""
    skipped: dict[str, str] = {}
    for preset in presets:
        if not evaluation.missing(preset):
            continue
        try:
            with contextlib.ExitStack() as closing:
                if start:
                    log = out / f"up-{preset.id}.log"
                    closing.enter_context(serving(preset.id, address(load_settings()), log))
                client = closing.enter_context(connect())
                progress = closing.enter_context(_progress())
                service = ServiceUnderTest(client)
                reason = evaluation.run(preset, service, in_flight, progress)
        except StartError as error:
            reason = str(error)
        if reason is not None:
            skipped[preset.id] = reason
    return skipped


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        lines: dict[str, Any] = {}

        def progress(named: str, there: int, of: int) -> None:
            if named not in lines:
                lines[named] = bar.add_task(named, total=of)
            bar.update(lines[named], completed=there)

        yield progress


def _write(out: Path, written: dict[str, Any], rows: Sequence[comparison.ResultRow]) -> None:
    text = json.dumps(written, indent=2, ensure_ascii=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    (out / "report.html").write_text(page.render(written, rows), encoding="utf-8")


def _print(rows: Sequence[comparison.ResultRow], skipped: dict[str, str], out: Path) -> None:
    if rows:
        terminal = console()
        for table in report.tables(rows, terminal.width):
            terminal.print(table)
            click.echo()
        for line in [*report.verdicts(rows), *report.LEGEND]:
            print_text(line)
    for name, reason in skipped.items():
        click.echo(f"{name} did not run: {reason}", err=True)
    click.echo(f"{out / 'report.html'}, {out / 'report.json'}")
