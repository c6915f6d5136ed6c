"""`inference-service openapi`: the description of the HTTP API."""

from __future__ import annotations

import json

import click


@click.command()
@click.option(
    "--markdown", "page", flag_value="api", hidden=True, help="Print docs/API.md instead."
)
@click.option(
    "--compatibility",
    "page",
    flag_value="compatibility",
    hidden=True,
    help="Print docs/COMPATIBILITY.md instead.",
)
def openapi(page: str | None) -> None:
    """Print the OpenAPI document of the HTTP API, the same as /openapi.json."""
    from flask import Flask

    from web import routes
    from web.openapi import assemble
    from web.render import api_page, compatibility_page

    app = Flask("inference-service", static_folder=None)
    routes.register(app)
    document = assemble(app, auto_route=False)
    if page == "api":
        text = api_page.markdown(document)
    elif page == "compatibility":
        text = compatibility_page.markdown(document)
    else:
        text = json.dumps(document, indent=2) + "\n"
    click.echo(text, nl=False)
