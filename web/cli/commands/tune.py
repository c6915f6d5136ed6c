"""`inference-service tune`: the format of a model's weights that suits this machine."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from web.cli.console import console, print_text
from web.cli.startup import load_settings

#: Mean divergence, in nats per token, up to which a format counts as the same model: below it the
#: most likely next token is the same nearly everywhere.
MOST_LOSS = 0.02


@click.command()
@click.argument("model")
@click.option(
    "--max-loss",
    default=MOST_LOSS,
    show_default=True,
    type=click.FloatRange(0, 10),
    help="The most KL divergence from the original file, in nats per token.",
)
@click.option(
    "--format", "form", help="Keep this format whatever the measurement says: q8_0, original."
)
@click.option("--dry-run", is_flag=True, help="Measure, and change nothing.")
def tune(model: str, max_loss: float, form: str | None, dry_run: bool) -> None:
    """Measure the formats of MODEL's weights on this machine and keep the best.

    The command measures the speed of prefill and decode, and what each format loses against the
    original file. Stop the service first: it would slow the measurement down.
    """
    from presets.catalogue import UnknownModel
    from workers.contract.errors import InferenceError
    from workers.planning import catalogue, tuning

    settings = load_settings()
    try:
        spec = catalogue.load(settings).get(model)
        progress = Console(stderr=True)
        formats = list(
            tuning.measure(settings, spec, lambda name: progress.print(f"trying {name}"))
        )
        chosen = _named(formats, form) if form else tuning.choose(formats, max_loss)
        _print(formats, chosen)
        if dry_run:
            return
        file = catalogue.keep_format(settings, spec.id, chosen.form)
    except UnknownModel as error:
        click.echo(f"inference-service tune: {error}", err=True)
        sys.exit(2)
    except (InferenceError, OSError) as error:
        click.echo(f"inference-service tune: {error}", err=True)
        sys.exit(1)
    click.echo(f"The format is kept in {file}. Workers of {spec.id} use it after their next start.")


def _named(formats: list[Any], form: str) -> Any:
    wanted = None if form == "original" else form
    for measured in formats:
        if measured.form == wanted:
            return measured
    names = ", ".join(measured.form or "original" for measured in formats)
    raise click.UsageError(f"There is no format {form!r}. The formats are: {names}.")


def _print(formats: list[Any], chosen: Any) -> None:
    console().print(table(formats, chosen))
    print_text(
        "Tokens per second on this machine, of one answer and of "
        f"{formats[0].rows} at once; seconds of a 256-token prompt and a 128-token answer; "
        "perplexity, and KL divergence from the original in nats per token, of a shipped text."
    )


def table(formats: list[Any], chosen: Any) -> Table:
    """A line for each format that was measured."""
    rows = formats[0].rows
    titles = ("format", "MB", "prefill", "decode", f"at {rows}", "a chat", "perplexity", "KL", "")
    made = Table(box=None, pad_edge=False)
    for title in titles:
        made.add_column(title, no_wrap=True)
    for measured in formats:
        made.add_row(
            measured.form or "original",
            f"{measured.size_bytes / 2**20:.0f}",
            f"{measured.prefill_tokens_s:.0f}/s",
            f"{measured.decode_tokens_s:.0f}/s",
            f"{measured.batch_tokens_s:.0f}/s",
            f"{measured.chat_s:.2f} s",
            f"{measured.perplexity:.2f}",
            f"{measured.divergence:.4f}",
            "chosen" if measured is chosen else "",
        )
    return made
