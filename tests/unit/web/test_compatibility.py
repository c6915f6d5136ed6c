"""docs/COMPATIBILITY.md: what it says of other servers' APIs is what happens."""

import re
import typing
from pathlib import Path

import click
import pytest
from flask import Flask
from openai.types import Model
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    completion_create_params,
)
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import ChoiceDelta
from openai.types.completion_usage import (
    CompletionTokensDetails,
    CompletionUsage,
    PromptTokensDetails,
)
from werkzeug.exceptions import MethodNotAllowed, NotFound

from orchestration.routing import resolve
from tests.acceptance import test_gateway as stand_in
from web import errors, routes
from web.cli.main import cli
from web.openapi import assemble
from web.render import compatibility_page, differences, other_servers
from web.routes.models import MODEL
from web.schemas.completion_schema import CompletionSchema
from web.schemas.responses import COMPLETION
from workers.settings.table import variables

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "COMPATIBILITY.md"
ADDRESSES = [
    *other_servers.OPENAI_ADDRESSES,
    *(address for server in other_servers.OTHER_SERVERS for address in server.addresses),
]


@pytest.fixture(scope="module")
def app():
    app = Flask("test", static_folder=None)
    errors.install(app)
    routes.register(app)
    return app


@pytest.fixture(scope="module")
def document(app):
    return assemble(app, auto_route=False)


def test_the_page_is_as_it_would_be_written_now(document):
    """Made anew by: inference-service openapi --compatibility > docs/COMPATIBILITY.md."""
    assert PAGE.read_text() == compatibility_page.markdown(document)


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda each: f"{each.method} {each.path}")
def test_an_address_answers_what_the_page_says(app, document, address):
    path = re.sub("{.*?}", "x", address.path)
    said = compatibility_page.answer_of(document, address)
    if said is None:
        assert app.url_map.bind("localhost").match(path, method=address.method)
        return
    answer = app.test_client().open(path, method=address.method, json={})
    assert answer.get_json()["error"]["code"] == said
    assert answer.status_code == errors.STATUS[said]
    assert address.instead
    with pytest.raises((NotFound, MethodNotAllowed)):
        app.url_map.bind("localhost").match(path, method=address.method)


def test_every_field_of_the_schema_is_on_the_page():
    """A new field goes into `differences`: to OpenAI's, or to those of others."""
    ours = {*differences.OF_OPENAI, *differences.OF_OTHERS}
    assert ours == {*CompletionSchema().fields}
    assert {*differences.DIFFERENCES} == {*differences.OF_OPENAI}


def test_whether_a_field_is_of_openai_says_its_own_client():
    base = completion_create_params.CompletionCreateParamsBase
    of_openai = {*typing.get_type_hints(base), "stream"}
    assert of_openai & {*CompletionSchema().fields} == {*differences.OF_OPENAI}


def names_in(value):
    """Names of the members of a JSON value, at every depth."""
    if isinstance(value, dict):
        return {*value}.union(*(names_in(item) for item in value.values()))
    return set().union(*(names_in(item) for item in value)) if isinstance(value, list) else set()


def test_every_field_of_an_openai_answer_comes_or_is_said_not_to():
    kinds = (
        ChatCompletion,
        Choice,
        ChatCompletionMessage,
        CompletionUsage,
        CompletionTokensDetails,
        PromptTokensDetails,
        ChatCompletionChunk,
        ChunkChoice,
        ChoiceDelta,
        Model,
    )
    expected = {name for kind in kinds for name in kind.model_fields}
    come = names_in(COMPLETION.example) | names_in(MODEL.example) | {"delta"}
    come |= names_in(COMPLETION.schema)  # an example calls no tool
    assert expected - come == {*differences.ABSENT}


@pytest.mark.parametrize("page", [PAGE, DOCS / "GATEWAY.md"], ids=lambda page: page.name)
def test_settings_pages_and_commands_that_a_page_names_are_there(page):
    text = page.read_text()
    settings = {variable.name for _, variable, _ in variables()}
    named = {*re.findall(r"(?<![A-Z_])INFERENCE_[A-Z_]*[A-Z]", text)}
    assert named - settings == set()
    assert named
    links = re.findall(r"\]\(([\w./]+)[)#]", text)
    assert [link for link in links if not (DOCS / link).exists()] == []
    commands = {*re.findall(r"inference-service ([a-z]+)", text)}
    assert commands - {*cli.list_commands(click.Context(cli))} == set()


def test_the_defaults_that_are_named_have_changed():
    now = {variable.name: str(default).lower() for _, variable, default in variables()}
    for name, (then, _) in differences.FIRST_DESIGN.items():
        assert then.strip("`") != now[name]


def test_the_gateways_page_and_its_stand_in_say_the_same():
    page = (DOCS / "GATEWAY.md").read_text()
    assert stand_in.PREFIXES == resolve.PREFIXES
    assert all(f"`{prefix}`" in page for prefix in stand_in.PREFIXES)
    assert f"{stand_in.TIMEOUT_S} s" in page
    _, _, fields = page.partition("| field | |")
    fields, _, _ = fields.partition("\n\n")
    assert tuple(re.findall(r"^\| `(\w+)`", fields, re.MULTILINE)) == stand_in.METADATA
    assert {*COMPLETION.example["inference_metadata"]} == {*stand_in.METADATA}
