"""`inference-service caches`: what is cached, and forgetting it."""

from __future__ import annotations

import json
from urllib.parse import quote

import click

from web.cli import model_names
from web.cli.connection import request, service_command
from web.cli.console import print_rows, print_text
from web.cli.default_list import DefaultList

_COUNTS = ("hits", "misses", "evictions")
_HEAD = ("cache", "entries", "KB", "of KB", "hits", "misses", "evicted")


@click.group(cls=DefaultList)
def caches() -> None:
    """Show what is cached, or clear it."""


@caches.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@service_command
def list_(as_json: bool) -> None:
    """Show each cache: its entries, their bytes, and how often they were of use."""
    found = request("GET", "/v1/caches", admin=True)["data"]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    rows = [
        (
            each["id"],
            str(each["entries"]),
            str(each["bytes"] // 1000),
            str(each["limit_bytes"] // 1000),
            *("-" if each[name] is None else str(each[name]) for name in _COUNTS),
        )
        for each in found
    ]
    print_rows([_HEAD, *rows])


@caches.command()
@click.argument("name", required=False)
@click.option(
    "--model", shell_complete=model_names.complete, help="Only what depends on this model."
)
@service_command
def clear(name: str | None, model: str | None) -> None:
    """Forget what the cache NAME holds, or what all of them hold."""
    address = "/v1/caches" if name is None else f"/v1/caches/{quote(name, safe='')}"
    query = {} if model is None else {"model": model}
    for each in request("DELETE", address, admin=True, params=query)["data"]:
        print_text(f"{each['id']}: {each['dropped']} entries are forgotten.")
