"""A job's answer on the terminal, as it is made."""

from __future__ import annotations

import json

import click
import httpx

from web.cli.answer_printer import AnswerPrinter
from web.cli.connection import connect, service_address
from web.cli.problem import INTERRUPTED
from workers.contract.step import choice_of, is_answer


def watch(job_id: str, printer: AnswerPrinter) -> int:
    """Print a job's text up to its end; returns the exit status.

    Of several choices the first is printed as it is made, the others after it.

    Where it stops before that it says that the job does not.

    Raises:
        httpx.HTTPError: the service refuses, or the connection broke.
    """
    again = f"inference-service jobs watch {job_id}{service_address().options}"
    try:
        status = _watch(job_id, printer)
    except KeyboardInterrupt:
        click.echo(f"\nThe job goes on. Watch it with: {again}", err=True)
        return INTERRUPTED
    except httpx.TransportError:
        click.echo(f"\nThe job is not ended by this. Watch it with: {again}", err=True)
        raise
    if status is None:
        click.echo(f"\nThe events ended before the job. Watch it with: {again}", err=True)
        return 1
    return status


def _watch(job_id: str, printer: AnswerPrinter) -> int | None:
    """None where the events end before the job does."""
    others: dict[int, str] = {}
    with connect() as client, client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        if answer.is_error:
            answer.read()
            answer.raise_for_status()
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            if event["type"] == "token" and is_answer(event["step"]):
                if choice := choice_of(event["step"]):
                    others[choice] = others.get(choice, "") + event["text"]
                    continue
                printer.think(event.get("reasoning", ""))
                printer.say(event["text"])
                for part in event.get("calls", ()):
                    printer.call(part.get("name", ""), part.get("arguments", ""))
            elif event["type"] == "completed":
                printer.end()
                for choice, text in sorted(others.items()):
                    click.echo(f"[choice {choice}]", err=True)
                    printer.say(text)
                    printer.end()
                return 0
            elif event["type"] in ("failed", "cancelled"):
                reason = event.get("reason") or event["error"]["message"]
                click.echo(f"\n{event['type']}: {reason}", err=True)
                return 1
    return None
