"""`inference-service evaluate`: whether presets pay, on questions with known answers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from web.cli.connection import service_command


@click.command()
@click.option(
    "--presets", "names", required=True, help="The presets to compare, separated by commas."
)
@click.option(
    "--tasks",
    type=click.Path(path_type=Path),
    help="A file of questions, one JSON object a line. Default: the 50 that ship.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("evaluation"),
    show_default=True,
    help="The directory for answers.jsonl, report.json and report.html.",
)
@click.option("--max-tokens", type=click.IntRange(1), help="The most tokens of an answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Default: the service's.")
@click.option(
    "--in-flight",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Questions asked at the same time. 1 measures the latency of a single caller.",
)
@click.option("--start", is_flag=True, help="Start the service with each preset in turn.")
@service_command
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

    The questions run as jobs of the lowest priority. The answers are kept in --out: the same
    command continues where it stopped, and asks no question twice.
    """
    from web.cli.evaluation import run

    status = run(
        names, tasks, out, in_flight, start=start, max_tokens=max_tokens, temperature=temperature
    )
    sys.exit(status)
