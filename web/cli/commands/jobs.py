"""`inference-service jobs`: asynchronous jobs from the terminal."""

from __future__ import annotations

import datetime
import json
import sys
import time

import click
from rich.table import Column, Table

from web.cli.answer_printer import AnswerPrinter
from web.cli.connection import request, service_command
from web.cli.console import console, print_rows
from web.cli.job_watch import watch as watch_job
from web.cli.problem import CommandError
from workers.contract.fields import without_none
from workers.contract.job import JobState, Priority

_PRIORITIES = click.Choice([priority.name.lower() for priority in Priority])
#: Seconds between two attempts to delete a job that has not ended.
_DELETE_PAUSES_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 2.0)
#: `chatcmpl-` and 32 hexadecimal digits.
_ID_WIDTH = 41
_STATES = click.Choice([state.value for state in JobState])


@click.group()
def jobs() -> None:
    """List, show, watch, cancel and delete jobs, and handle dead letters."""


@jobs.command("list")
@click.option("--state", type=_STATES, help="List only jobs in this state.")
@click.option("--model", "-m", help="List only jobs of this model.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 100),
    help="The most jobs to list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def list_(state: str | None, model: str | None, limit: int, as_json: bool) -> None:
    """List the jobs, newest first."""
    wanted = without_none({"state": state, "model": model, "limit": limit})
    listed = request("GET", "/v1/jobs", params=wanted)["data"]
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    # An id that is cut off cannot be copied: other columns give way.
    table = Table(Column("id", min_width=_ID_WIDTH), box=None)
    for name in ("state", "priority", "created", "model"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for entry in listed:
        created = datetime.datetime.fromtimestamp(entry["created"]).strftime("%m-%d %H:%M")
        priority = Priority(entry["priority"]).name.lower()
        table.add_row(entry["id"], entry["state"], priority, created, entry["model"])
    console().print(table)


@jobs.command()
@click.argument("job_id")
@service_command
def show(job_id: str) -> None:
    """Show a job as JSON: its state, its steps, and its result or error."""
    job = request("GET", f"/v1/jobs/{job_id}")
    click.echo(json.dumps(job, indent=2, ensure_ascii=False))


@jobs.command()
@click.argument("job_id")
@click.option("--reasoning/--no-reasoning", default=True, help="Show what the model thinks.")
@service_command
def watch(job_id: str, reasoning: bool) -> None:
    """Print a job's answer from its beginning, as it is made."""
    sys.exit(watch_job(job_id, AnswerPrinter(shows_reasoning=reasoning)))


@jobs.command()
@click.argument("job_id")
@service_command
def cancel(job_id: str) -> None:
    """Cancel a queued or running job; one that has ended stays as it ended."""
    job = request("GET", f"/v1/jobs/{job_id}")
    if "ended" not in job:
        job = request("DELETE", f"/v1/jobs/{job_id}")
    click.echo(job["state"])


@jobs.command()
@click.argument("job_id")
@service_command
def delete(job_id: str) -> None:
    """Delete a job with its result; one that has not ended is cancelled first."""
    for pause_s in _DELETE_PAUSES_S:  # the first one cancels it
        if "deleted" in request("DELETE", f"/v1/jobs/{job_id}"):
            return
        time.sleep(pause_s)
    raise CommandError(f"{job_id} has not ended yet. Delete it again in a moment.")


@jobs.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def dead(as_json: bool) -> None:
    """List the dead letters: jobs that killed their workers."""
    letters = request("GET", "/v1/dead-letters", admin=True)["data"]
    if as_json:
        click.echo(json.dumps(letters, indent=2, ensure_ascii=False))
        return
    if letters:
        print_rows([(entry["id"], entry["model"], entry["error"]["message"]) for entry in letters])


@jobs.command()
@click.argument("job_id")
@service_command
def retry(job_id: str) -> None:
    """Run a dead letter again as a new job, and print its id."""
    click.echo(request("POST", f"/v1/dead-letters/{job_id}/retry", admin=True)["id"])


@jobs.command()
@click.argument("job_id")
@service_command
def drop(job_id: str) -> None:
    """Delete a dead letter."""
    request("DELETE", f"/v1/dead-letters/{job_id}", admin=True)
