"""`inference-service jobs` and `submit`: asynchronous jobs from the terminal."""

from __future__ import annotations

import datetime
import json
import sys
from typing import Any

import click
from rich.table import Column, Table

from orchestration.modes import registry
from web.cli.answer_printer import AnswerPrinter
from web.cli.connection import connect, telling
from web.cli.console import console
from workers.contract.job import JobState, Priority
from workers.contract.step import is_answer

_PRIORITIES = click.Choice([priority.name.lower() for priority in Priority])
#: `chatcmpl-` and 32 hexadecimal digits.
_ID_WIDTH = 41
_STATES = click.Choice([state.value for state in JobState])


@click.group()
def jobs() -> None:
    """List, show, watch and cancel jobs of the running service; look after dead letters."""


@jobs.command("list")
@click.option("--state", type=_STATES, help="Only jobs in this state.")
@click.option("--model", "-m", help="Only jobs of this model.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100))
@telling
def list_(state: str | None, model: str | None, limit: int) -> None:
    """List jobs, the latest first."""
    wanted = {"state": state, "model": model, "limit": limit}
    with connect() as client:
        answer = client.get("/v1/jobs", params={k: v for k, v in wanted.items() if v is not None})
        answer.raise_for_status()
    # An id that is cut off cannot be copied: other columns give way.
    table = Table(Column("id", min_width=_ID_WIDTH), box=None)
    for name in ("state", "model", "priority", "created"):
        table.add_column(name)
    for entry in answer.json()["data"]:
        created = datetime.datetime.fromtimestamp(entry["created"]).isoformat(sep=" ")
        priority = Priority(entry["priority"]).name.lower()
        table.add_row(entry["id"], entry["state"], entry["model"], priority, created)
    console().print(table)


@jobs.command()
@click.argument("job_id")
@telling
def show(job_id: str) -> None:
    """Show a job as JSON: its state and steps, and its result or error."""
    with connect() as client:
        answer = client.get(f"/v1/jobs/{job_id}")
        answer.raise_for_status()
    click.echo(json.dumps(answer.json(), indent=2, ensure_ascii=False))


@jobs.command()
@click.argument("job_id")
@click.option("--reasoning/--no-reasoning", default=True, help="Show what the model thinks.")
@telling
def watch(job_id: str, reasoning: bool) -> None:
    """Show a job's answer as it is made, from its beginning."""
    sys.exit(_watch(job_id, AnswerPrinter(thinks_aloud=reasoning)))


@jobs.command()
@click.argument("job_id")
@telling
def cancel(job_id: str) -> None:
    """Cancel a job, queued or running."""
    with connect() as client:
        answer = client.delete(f"/v1/jobs/{job_id}")
        answer.raise_for_status()
    click.echo(answer.json()["state"])


@jobs.command()
@telling
def dead() -> None:
    """List dead letters: jobs that killed their workers, and why."""
    with connect() as client:
        answer = client.get("/v1/dead-letters")
        answer.raise_for_status()
    for entry in answer.json()["data"]:
        click.echo(f"{entry['id']}  {entry['model']}  {entry['error']['message']}")


@jobs.command()
@click.argument("job_id")
@telling
def retry(job_id: str) -> None:
    """Ask for a dead letter's answer again, as a new job; prints its id."""
    with connect() as client:
        answer = client.post(f"/v1/dead-letters/{job_id}/retry")
        answer.raise_for_status()
    click.echo(answer.json()["id"])


@jobs.command()
@click.argument("job_id")
@telling
def drop(job_id: str) -> None:
    """Forget a dead letter."""
    with connect() as client:
        answer = client.delete(f"/v1/dead-letters/{job_id}")
        answer.raise_for_status()


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
@telling
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
        sys.exit(_watch(job_id, AnswerPrinter(thinks_aloud=True)))


def _watch(job_id: str, speech: AnswerPrinter) -> int:
    """Print a job's text up to its end; returns the exit status."""
    with connect() as client, client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        if answer.is_error:
            answer.read()
            answer.raise_for_status()
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            if event["type"] == "token" and is_answer(event["step"]):
                speech.think(event.get("reasoning", ""))
                speech.say(event["text"])
            elif event["type"] == "completed":
                speech.end()
                return 0
            elif event["type"] in ("failed", "cancelled"):
                reason = event.get("reason") or event["error"]["message"]
                click.echo(f"\n{event['type']}: {reason}", err=True)
                return 1
    return 1
