"""`inference-service chat`: a conversation in the terminal."""

from __future__ import annotations

import sys

import click

from orchestration.modes import registry
from web.cli.startup import load_settings


@click.command()
@click.argument("prompt", required=False)
@click.option("--model", "-m", help="The model to talk to. Default: the first one that is loaded.")
@click.option("--system", "-s", help="The system message.")
@click.option("--max-tokens", type=int, help="The most tokens of an answer.")
@click.option("--temperature", "-t", type=float, help="0 always takes the most likely token.")
@click.option(
    "--mode", type=click.Choice(registry.names()), help="How several models answer together."
)
@click.option("--reasoning/--no-reasoning", default=True, help="Show the model's reasoning.")
def chat(
    prompt: str | None,
    model: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    mode: str | None,
    reasoning: bool,
) -> None:
    """Talk to a model. With PROMPT, print one answer and exit."""
    from web.cli.conversation import run

    options = {"max_tokens": max_tokens, "temperature": temperature, "orchestration_mode": mode}
    sys.exit(
        run(
            load_settings(),
            prompt=prompt,
            model=model,
            system=system,
            options=options,
            shows_reasoning=reasoning,
        )
    )
