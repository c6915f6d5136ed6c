"""`inference-service top`: what the service does, live."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from web.cli.connection import connect, service_address, service_command
from web.cli.problem import CommandError

if TYPE_CHECKING:
    import httpx

    from web.cli.top.scrape import Scrape


@click.command()
@click.option("--once", is_flag=True, help="Print it once, and end.")
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two looks; rates are those of this time.",
)
@service_command
def top(once: bool, interval: float) -> None:
    """Show queues, batches, speeds and errors, live. Ends with q or Ctrl-C.

    Where the output is no terminal it is printed again and again. The numbers are those of
    `GET /metrics`.
    """
    with connect(timeout_s=10.0) as client, contextlib.suppress(KeyboardInterrupt):
        views = _views(client, interval)
        if once:
            click.echo("\n".join(next(views)))
        elif sys.stdout.isatty() and sys.stdin.isatty():
            _live(client, interval)
        else:
            for view in views:
                click.echo("\n".join([*view, ""]))


def _live(client: httpx.Client, interval_s: float) -> None:
    from web.cli.top import screen

    before = _scrape(client)
    with screen.opened() as terminal:
        terminal.show([_headline(), "", "Looking..."])
        while not terminal.is_left(interval_s):
            now = _scrape(client)
            terminal.show(_view(before, now))
            before = now


def _views(client: httpx.Client, interval_s: float) -> Iterator[list[str]]:
    before = _scrape(client)
    while True:
        time.sleep(interval_s)
        now = _scrape(client)
        yield _view(before, now)
        before = now


def _view(before: Scrape, now: Scrape) -> list[str]:
    from web.cli.top import view

    return [_headline(), *view.lines(before, now)]


def _headline() -> str:
    return f"{service_address().url}, {time.strftime('%H:%M:%S')}"


def _scrape(client: httpx.Client) -> Scrape:
    from web.cli.top.scrape import Scrape

    answer = client.get("/metrics")
    answer.raise_for_status()
    try:
        return Scrape.parsed(answer.text)
    except ValueError:
        raise CommandError(
            f"{client.base_url} answers without metrics. Is that an inference-service?"
        ) from None
