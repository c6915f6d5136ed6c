"""An endpoint is one file: this module writes one, and nothing else learns of it."""

import sys

import pytest

from web import routes
from web.app import create_app
from workers.settings import read

ENDPOINT = '''
"""`POST /v1/echo`: says what it was told."""

import flask
from flask import Blueprint

from web.operation import Answer, Component, Operation, describe, path
from web.schemas.body import read_object
from web.schemas.fields import Text
from web.schemas.lenient import LenientSchema
from workers.contract import errors

blueprint = Blueprint("echo", __name__)


class EchoSchema(LenientSchema):
    text = Text(required=True, most=20, description="What is said.")


REQUEST = Component("EchoRequest", EchoSchema, example={"text": "hello"})
ECHO = Component(
    "Echo", {"type": "object", "required": ["text", "to"]}, example={"text": "hello", "to": "x"}
)


@blueprint.post("/v1/echo/<name>")
@describe(
    Operation(
        operation_id="createEcho",
        tag="Toys",
        summary="Say it again.",
        parameters=(path("name", "Who is spoken to.", "you"),),
        request=REQUEST,
        answers={200: Answer("What was said.", ECHO)},
        errors=(errors.ValidationFailed,),
    )
)
def create(name):
    """Say it again."""
    return flask.jsonify(**EchoSchema().read(read_object()), to=name)
'''


@pytest.fixture
def client(tmp_path, redis_socket, redis, monkeypatch):
    directory = tmp_path / "endpoints"
    directory.mkdir()
    (directory / "echo.py").write_text(ENDPOINT)
    monkeypatch.setattr(routes, "__path__", [*routes.__path__, str(directory)])
    environ = {
        "INFERENCE_DATA_DIR": str(tmp_path),
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
    }
    app = create_app(read(environ, env_file=None))
    yield app.test_client()
    app.extensions["inference"].hub.stop()
    del sys.modules["web.routes.echo"], routes.echo


def test_it_answers(client):
    answer = client.post("/v1/echo/you", json={"text": "hello"})
    assert answer.get_json() == {"text": "hello", "to": "you"}
    assert answer.headers["X-Request-ID"]


def test_it_is_described(client):
    document = client.get("/openapi.json").get_json()
    item = document["paths"]["/v1/echo/{name}"]
    assert item["post"]["operationId"] == "createEcho"
    assert item["post"]["tags"] == ["Toys"]
    text = document["components"]["schemas"]["EchoRequest"]["properties"]["text"]
    assert text == {"type": "string", "maxLength": 20, "description": "What is said."}
    assert "VALIDATION_ERROR" in item["post"]["responses"]["422"]["description"]


def test_a_wrong_field_is_refused_by_its_name(client):
    answer = client.post("/v1/echo/you", json={"text": 3})
    assert answer.status_code == 422
    assert answer.get_json()["error"]["details"] == {"param": "text"}


def test_its_body_is_bounded(client):
    answer = client.post("/v1/echo/you", json={"text": "x" * 100_000})
    assert answer.get_json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


def test_a_file_without_a_blueprint_is_named(tmp_path, monkeypatch):
    (tmp_path / "nothing.py").write_text('"""Nothing."""\n')
    monkeypatch.setattr(routes, "__path__", [str(tmp_path)])
    with pytest.raises(TypeError, match=r"web\.routes\.nothing needs a flask\.Blueprint"):
        routes.register(None)
    del sys.modules["web.routes.nothing"], routes.nothing
