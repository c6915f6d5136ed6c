"""`inference-service evaluate`: whether presets pay, on questions with known answers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from web.cli.connection import report_errors


@click.command()
@click.option("--presets", "names", required=True, help="Presets to compare, with commas between.")
@click.option(
    "--tasks",
    type=click.Path(path_type=Path),
    help="Questions, one JSON object a line; else the 50 that ship.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("evaluation"),
    show_default=True,
    help="Directory of the answers, report.json and report.html.",
)
@click.option("--max-tokens", type=click.IntRange(1), help="Tokens of an answer at most.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Where not given, the service's.")
@click.option(
    "--in-flight",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Questions under way at once; 1 for the latency of a lone caller.",
)
@click.option("--start", is_flag=True, help="Start `up` with each preset, one after the other.")
@report_errors
def evaluate(
    names: str,
    tasks: Path | None,
    out: Path,
    max_tokens: int | None,
    temperature: float | None,
    in_flight: int,
    start: bool,
) -> None:
    """Compare presets with their lead model alone, and with its majority at equal tokens.

    Asks the running service, as jobs of the lowest priority. What was answered is kept in --out:
    the same command goes on where it stopped, and asks nothing twice.
    """
    from web.cli.evaluation import run

    status = run(
        names, tasks, out, in_flight, start=start, max_tokens=max_tokens, temperature=temperature
    )
    sys.exit(status)
