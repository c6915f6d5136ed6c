"""`inference-service submit`: a job from the terminal."""

from __future__ import annotations

import sys
from typing import Any

import click

from orchestration.modes import registry
from web.cli.answer_printer import AnswerPrinter
from web.cli.connection import connect, report_errors
from web.cli.job_watch import watch
from workers.contract.job import Priority

_PRIORITIES = click.Choice([priority.name.lower() for priority in Priority])


@click.command()
@click.argument("prompt")
@click.option("--model", "-m", required=True, help="The model that answers.")
@click.option("--priority", type=_PRIORITIES, help="How urgent it is.")
@click.option("--max-tokens", type=int, help="Tokens of the answer at most.")
@click.option("--deadline", "deadline_s", type=float, help="Seconds until it must have ended.")
@click.option("--webhook", help="An address that is told of its end.")
@click.option("--idempotency-key", help="Submitting it again under this key makes no second job.")
@click.option(
    "--mode",
    "orchestration_mode",
    type=click.Choice(registry.names()),
    help="How several models answer it.",
)
@click.option("--watch", "watches", is_flag=True, help="Show the answer as it is made.")
@report_errors
def submit(
    prompt: str,
    model: str,
    priority: str | None,
    idempotency_key: str | None,
    watches: bool,
    **options: Any,
) -> None:
    """Submit PROMPT as a job and print the job's id."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    body |= {name: value for name, value in options.items() if value is not None}
    if priority is not None:
        body["priority"] = Priority[priority.upper()].value
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    with connect() as client:
        answer = client.post("/v1/jobs", json=body, headers=headers)
        answer.raise_for_status()
    job_id = answer.json()["id"]
    click.echo(job_id, err=watches)
    if watches:
        sys.exit(watch(job_id, AnswerPrinter(thinks_aloud=True)))
