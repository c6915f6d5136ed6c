"""`inference-service openapi`: the description of the HTTP API."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--markdown", is_flag=True, hidden=True, help="Print docs/API.md.")
def openapi(markdown: bool) -> None:
    """Print the OpenAPI document of the HTTP API, the same as /openapi.json."""
    from flask import Flask

    from web import routes
    from web.openapi import assemble
    from web.render import api_page

    app = Flask("inference-service", static_folder=None)
    routes.register(app)
    document = assemble(app, auto_route=False)
    text = api_page.markdown(document) if markdown else json.dumps(document, indent=2) + "\n"
    click.echo(text, nl=False)
