"""`inference-service submit`: a job from the terminal."""

from __future__ import annotations

import sys
from typing import Any

import click

from orchestration.modes import registry
from web.cli import model_names
from web.cli.answer_printer import AnswerPrinter
from web.cli.connection import request, service_command
from web.cli.job_watch import watch
from workers.contract.fields import without_none
from workers.contract.job import Priority

_PRIORITIES = click.Choice([priority.name.lower() for priority in Priority])


@click.command()
@click.argument("prompt")
@click.option(
    "--model",
    "-m",
    required=True,
    shell_complete=model_names.complete,
    help="The model that answers.",
)
@click.option("--priority", type=_PRIORITIES, help="The priority of the job.")
@click.option("--max-tokens", type=int, help="The most tokens of the answer.")
@click.option("--choices", "n", type=int, help="How many answers, up to 16.")
@click.option(
    "--deadline",
    "deadline_s",
    type=float,
    help="The job fails if it has not ended after this many seconds.",
)
@click.option("--webhook", help="The service posts the result to this address.")
@click.option("--idempotency-key", help="A second submit with the same key makes no second job.")
@click.option(
    "--mode",
    "orchestration_mode",
    type=click.Choice(registry.names()),
    help="How several models answer together.",
)
@click.option("--raw", is_flag=True, help="PROMPT is all that the model reads; no chat template.")
@click.option("--watch", "watches", is_flag=True, help="Print the answer as it is made.")
@service_command
def submit(
    prompt: str,
    model: str,
    priority: str | None,
    idempotency_key: str | None,
    raw: bool,
    watches: bool,
    **options: Any,
) -> None:
    """Submit PROMPT as a job and print the job's id."""
    body: dict[str, Any] = {"model": model}
    body |= {"prompt": prompt} if raw else {"messages": [{"role": "user", "content": prompt}]}
    body |= without_none(options)
    if priority is not None:
        body["priority"] = Priority[priority.upper()].value
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    job_id = request("POST", "/v1/jobs", json=body, headers=headers)["id"]
    click.echo(job_id, err=watches)
    if watches:
        sys.exit(watch(job_id, AnswerPrinter(shows_reasoning=True)))
