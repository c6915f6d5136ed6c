"""`inference-service chat`: a conversation in the terminal."""

from __future__ import annotations

import sys

import click

from orchestration.modes import registry
from web.cli.startup import load_settings


@click.command()
@click.argument("prompt", required=False)
@click.option("--model", "-m", help="The model to talk to; the first loaded one where not named.")
@click.option("--system", "-s", help="A system message to begin with.")
@click.option("--max-tokens", type=int, help="Tokens of an answer at most.")
@click.option("--temperature", "-t", type=float, help="0 takes the most likely token every time.")
@click.option("--mode", type=click.Choice(registry.names()), help="How several models answer.")
@click.option("--reasoning/--no-reasoning", default=True, help="Show what the model thinks.")
def chat(
    prompt: str | None,
    model: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    mode: str | None,
    reasoning: bool,
) -> None:
    """Talk to a model in the terminal; with PROMPT, ask once and end."""
    from web.cli.conversation import run

    options = {"max_tokens": max_tokens, "temperature": temperature, "orchestration_mode": mode}
    sys.exit(
        run(
            load_settings(),
            prompt=prompt,
            model=model,
            system=system,
            options=options,
            thinks_aloud=reasoning,
        )
    )
