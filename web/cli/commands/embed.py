"""`inference-service embed`: the vectors of texts."""

from __future__ import annotations

import json
from typing import Any

import click

from web.cli import model_names
from web.cli.connection import request, service_command
from web.cli.input_lines import texts_or_lines


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--dimensions", type=click.IntRange(1), help="So many numbers of each vector.")
@click.option("--truncate", is_flag=True, help="Cut a text that is too long.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer, with the usage.")
@service_command
def embed(
    model: str, texts: tuple[str, ...], dimensions: int | None, truncate: bool, as_json: bool
) -> None:
    """Make a vector of each TEXT. Without TEXT: of each line of the standard input.

    A vector is a line: a list of numbers, as JSON.
    """
    body: dict[str, Any] = {"model": model, "input": texts_or_lines(texts), "truncate": truncate}
    if dimensions is not None:
        body["dimensions"] = dimensions
    answer = request("POST", "/v1/embeddings", json=body)
    if as_json:
        click.echo(json.dumps(answer))
        return
    for entry in answer["data"]:
        click.echo(json.dumps(entry["embedding"]))
