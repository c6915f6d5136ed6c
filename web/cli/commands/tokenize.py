"""`inference-service tokenize`: how many tokens a text has."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from web.cli import model_names
from web.cli.connection import request, service_command


@click.command()
@click.argument("model", shell_complete=model_names.complete)
@click.argument("text", required=False)
@click.option("--chat", is_flag=True, help="Count TEXT as a question, with the chat template.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the ids of the tokens.")
@service_command
def tokenize(model: str, text: str | None, chat: bool, as_json: bool) -> None:
    """Count the tokens of TEXT, with the tokenizer of MODEL. Without TEXT: of the standard input.

    MODEL need not be loaded.
    """
    if text is None:
        text = sys.stdin.read()
    body: dict[str, Any] = {"model": model}
    body |= {"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text}
    answer = request("POST", "/v1/tokenize", json=body)
    click.echo(json.dumps(answer) if as_json else answer["count"])
