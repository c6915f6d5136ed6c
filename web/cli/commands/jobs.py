"""`inference-service jobs`: asynchronous jobs from the terminal."""

from __future__ import annotations

import datetime
import json
import sys

import click
from rich.table import Column, Table

from web.cli.answer_printer import AnswerPrinter
from web.cli.connection import connect, report_errors
from web.cli.console import console
from web.cli.job_watch import watch as watch_job
from workers.contract.job import JobState, Priority

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
@report_errors
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
@report_errors
def show(job_id: str) -> None:
    """Show a job as JSON: its state and steps, and its result or error."""
    with connect() as client:
        answer = client.get(f"/v1/jobs/{job_id}")
        answer.raise_for_status()
    click.echo(json.dumps(answer.json(), indent=2, ensure_ascii=False))


@jobs.command()
@click.argument("job_id")
@click.option("--reasoning/--no-reasoning", default=True, help="Show what the model thinks.")
@report_errors
def watch(job_id: str, reasoning: bool) -> None:
    """Show a job's answer as it is made, from its beginning."""
    sys.exit(watch_job(job_id, AnswerPrinter(thinks_aloud=reasoning)))


@jobs.command()
@click.argument("job_id")
@report_errors
def cancel(job_id: str) -> None:
    """Cancel a job, queued or running."""
    with connect() as client:
        answer = client.delete(f"/v1/jobs/{job_id}")
        answer.raise_for_status()
    click.echo(answer.json()["state"])


@jobs.command()
@report_errors
def dead() -> None:
    """List dead letters: jobs that killed their workers, and why."""
    with connect(admin=True) as client:
        answer = client.get("/v1/dead-letters")
        answer.raise_for_status()
    for entry in answer.json()["data"]:
        click.echo(f"{entry['id']}  {entry['model']}  {entry['error']['message']}")


@jobs.command()
@click.argument("job_id")
@report_errors
def retry(job_id: str) -> None:
    """Ask for a dead letter's answer again, as a new job; prints its id."""
    with connect(admin=True) as client:
        answer = client.post(f"/v1/dead-letters/{job_id}/retry")
        answer.raise_for_status()
    click.echo(answer.json()["id"])


@jobs.command()
@click.argument("job_id")
@report_errors
def drop(job_id: str) -> None:
    """Forget a dead letter."""
    with connect(admin=True) as client:
        answer = client.delete(f"/v1/dead-letters/{job_id}")
        answer.raise_for_status()
