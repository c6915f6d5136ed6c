"""`inference-service keys`: API keys in the data directory."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from web.cli.startup import load_settings
from workers.contract.job import Priority

_PRIORITIES = click.Choice([priority.name.lower() for priority in Priority])


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
    """Make, list and revoke API keys. A running service sees changes at once."""


@keys.command()
@click.argument("name")
@click.option("--highest-priority", type=_PRIORITIES, help="Requests above it are refused.")
@click.option("--per-minute", type=click.IntRange(1, 1_000_000), help="Requests in a minute.")
@_report_errors
def add(name: str, highest_priority: str | None, per_minute: int | None) -> None:
    """Make a key called NAME and show it, once."""
    from web.access import key_file

    settings = load_settings()
    first = not settings.has_keys
    highest = None if highest_priority is None else Priority[highest_priority.upper()]
    text = key_file.add(settings.keys_file, name, highest, per_minute)
    click.echo(text)
    click.echo(f"Only its hash is kept, in {settings.keys_file}: note the key now.", err=True)
    if first:
        click.echo(
            "This is the first key: from now on every request needs one. The next start listens "
            f"on {settings.effective_host}.",
            err=True,
        )


@keys.command("list")
@_report_errors
def list_() -> None:
    """List the keys by name."""
    from web.access import key_file
    from web.access.keys import of_environment

    settings = load_settings()
    known = of_environment(settings) + key_file.read(settings.keys_file)
    if not known:
        click.echo("There are no keys.", err=True)
        return
    width = max(len(key.name) for key in known)
    for key in known:
        highest = "any" if key.highest_priority is None else key.highest_priority.name.lower()
        rate = "any" if key.requests_per_minute is None else str(key.requests_per_minute)
        made = key.created or "INFERENCE_API_KEYS"
        click.echo(f"{key.name:<{width}}  priority {highest:<6}  per minute {rate:<7}  {made}")


@keys.command()
@click.argument("name")
@_report_errors
def revoke(name: str) -> None:
    """Revoke the key called NAME."""
    from web.access import key_file

    settings = load_settings()
    left = key_file.revoke(settings.keys_file, name)
    click.echo(f"{name} is revoked.")
    if not left and not settings.api_keys:
        click.echo(
            "That was the last key: the service refuses everybody now. To run it without keys, "
            f"delete {settings.keys_file} and restart it.",
            err=True,
        )
