"""`inference-service rerank`: documents in the order of how well they answer a query."""

from __future__ import annotations

import json
from typing import Any

import click

from web.cli import model_names
from web.cli.connection import request, service_command
from web.cli.input_lines import texts_or_lines


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.argument("query")
@click.argument("documents", nargs=-1, metavar="[DOCUMENT]...")
@click.option("--top-n", type=click.IntRange(1), help="So many of the best alone.")
@click.option("--truncate", is_flag=True, help="Cut what is too long.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer, with the usage.")
@service_command
def rerank(
    model: str,
    query: str,
    documents: tuple[str, ...],
    top_n: int | None,
    truncate: bool,
    as_json: bool,
) -> None:
    """Rank each DOCUMENT by how well it answers QUERY; without: each line of the standard input.

    The best comes first, after its score.
    """
    texts = texts_or_lines(documents)
    body: dict[str, Any] = {"model": model, "query": query, "documents": texts}
    body |= {"truncate": truncate, "return_documents": as_json}
    if top_n is not None:
        body["top_n"] = top_n
    answer = request("POST", "/v1/rerank", json=body)
    if as_json:
        click.echo(json.dumps(answer))
        return
    for result in answer["results"]:
        click.echo(f"{result['relevance_score']:.4f}\t{texts[result['index']]}")
