"""`inference-service keys`: API keys in the data directory."""

from __future__ import annotations

import datetime
import functools
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.table import Column, Table
from rich.text import Text

from web.cli.console import console
from web.cli.startup import load_settings
from workers.contract.job import Priority

if TYPE_CHECKING:
    from web.access.keys import Key

#: The longest time in which a replaced key may stay valid.
_MOST_GRACE_S = 30 * 86_400
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: What of a time in ISO 8601 is its day.
_DAY = len("2026-01-31")
#: From this width on the table says when keys were rotated.
_WIDE = 100
_PRIORITIES = click.Choice([priority.name.lower() for priority in Priority])


def _seconds(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    """Seconds, given as a number and a unit."""
    match = re.fullmatch(r"([0-9]{1,8})([smhd])", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else None
    if seconds is None or seconds > _MOST_GRACE_S:
        raise click.BadParameter(
            f"{text!r} is no time of at most 30 days, such as 90s, 30m, 1h or 7d."
        )
    return float(seconds)


def _report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Let a `KeysError` end the command with its message."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        from web.access.keys import KeysError

        try:
            command(**options)
        except KeysError as error:
            click.echo(f"inference-service keys: {error}", err=True)
            sys.exit(1)

    return run


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke API keys. A running service sees changes at once."""


@keys.command()
@click.argument("name")
@click.option("--highest-priority", type=_PRIORITIES, help="Requests above it are refused.")
@click.option("--per-minute", type=click.IntRange(1, 1_000_000), help="Requests in a minute.")
@click.option("--admin", is_flag=True, help="It may load and unload models, see dead letters.")
@_report_errors
def add(name: str, highest_priority: str | None, per_minute: int | None, admin: bool) -> None:
    """Make a key called NAME and show it, once."""
    from web.access import key_file

    settings = load_settings()
    first = not settings.has_keys
    highest = None if highest_priority is None else Priority[highest_priority.upper()]
    text = key_file.add(settings.keys_file, name, highest, per_minute, admin=admin)
    click.echo(text)
    click.echo(f"Only its hash is kept, in {settings.keys_file}: note the key now.", err=True)
    if first:
        click.echo(
            "This is the first key: from now on every request needs one. The next start listens "
            f"on {settings.effective_host}.",
            err=True,
        )


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@_report_errors
def list_(as_json: bool) -> None:
    """List the keys by name; none is shown itself."""
    from web.access import key_file
    from web.access.keys import of_environment

    settings = load_settings()
    known = of_environment(settings) + key_file.read(settings.keys_file)
    if as_json:
        click.echo(json.dumps([_described(key) for key in known], indent=2))
        return
    if not known:
        click.echo("There are no keys.", err=True)
        return
    terminal = console()
    terminal.print(_table(known, terminal.width))


def _table(known: Sequence[Key], width: int) -> Table:
    """A line for each key; of times the day, of which `--json` has the second."""
    wide = width >= _WIDE
    # A name that is cut off cannot be revoked: it is folded where it has no room.
    table = Table(Column("name", overflow="fold"), box=None, pad_edge=False)
    for title in ("id", "admin", "priority", "/min", "made", *(["rotated"] if wide else [])):
        table.add_column(title, no_wrap=True)
    for key in known:
        table.add_row(
            Text(key.name),
            key.id,
            "yes" if key.admin else "",
            "any" if key.highest_priority is None else key.highest_priority.name.lower(),
            "any" if key.requests_per_minute is None else str(key.requests_per_minute),
            key.created[:_DAY] or "environ.",
            *([key.rotated[:_DAY]] if wide else []),
        )
    return table


def _described(key: Key) -> dict[str, Any]:
    """What `--json` shows of a key: times in ISO 8601, nothing of its text."""
    until = datetime.datetime.fromtimestamp(key.former_until, datetime.UTC)
    return {
        "id": key.id,
        "name": key.name,
        "admin": key.admin,
        "highest_priority": None if key.highest_priority is None else key.highest_priority.value,
        "requests_per_minute": key.requests_per_minute,
        "created": key.created or None,
        "rotated": key.rotated or None,
        "former_valid_until": until.isoformat(timespec="seconds") if key.former_until else None,
    }


@keys.command()
@click.argument("name")
@click.option(
    "--grace",
    callback=_seconds,
    default="0s",
    metavar="TIME",
    show_default=True,
    help="How long the old text stays valid, too: 90s, 30m, 1h, 7d.",
)
@_report_errors
def rotate(name: str, grace: float) -> None:
    """Give the key called NAME another text and show it, once; its jobs stay its own."""
    from web.access import key_file

    settings = load_settings()
    text = key_file.rotate(settings.keys_file, name, grace)
    click.echo(text)
    click.echo(f"Only its hash is kept, in {settings.keys_file}: note the key now.", err=True)
    until = datetime.datetime.now() + datetime.timedelta(seconds=grace)
    click.echo(
        f"The old one is valid until {until.isoformat(sep=' ', timespec='seconds')}."
        if grace
        else "The old one is refused from now on.",
        err=True,
    )


@keys.command()
@click.argument("name")
@_report_errors
def revoke(name: str) -> None:
    """Revoke the key called NAME. No later key reads its jobs."""
    from web.access import key_file

    settings = load_settings()
    left = key_file.revoke(settings.keys_file, name)
    click.echo(f"{name} is revoked.")
    if not left and not settings.api_keys + settings.admin_keys:
        click.echo(
            "That was the last key: the service refuses everybody now. To run it without keys, "
            f"delete {settings.keys_file} and restart it.",
            err=True,
        )
