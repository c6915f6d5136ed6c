"""What the views say about themselves, and the page that is made of it."""

import collections
import re
from pathlib import Path

import jsonschema_rs
import pytest
from flask import Flask

from web import routes
from web.openapi import assemble
from web.render import api_page

PAGE = Path(__file__).parents[3] / "docs/API.md"


@pytest.fixture(scope="module")
def app():
    app = Flask("test", static_folder=None)
    routes.register(app)
    return app


@pytest.fixture(scope="module")
def document(app):
    return assemble(app, auto_route=False)


@pytest.fixture(scope="module")
def operations(document):
    return [
        operation
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]


def test_every_view_describes_itself(app):
    silent = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if not hasattr(app.view_functions[rule.endpoint], "operation")
    ]
    assert silent == []


def test_every_part_of_an_address_is_described(document):
    for path, item in document["paths"].items():
        described = [parameter["name"] for parameter in item.get("parameters", [])]
        assert described == re.findall(r"{(\w+)}", path)


def test_every_operation_has_a_name_of_its_own_a_section_and_a_summary(operations):
    names = collections.Counter(operation["operationId"] for operation in operations)
    assert len(operations) == 41
    assert set(names.values()) == {1}
    assert all(operation["tags"] and operation["summary"] for operation in operations)
    assert all("default" in operation["responses"] for operation in operations)


def contents(operations):
    for operation in operations:
        request = operation.get("requestBody", {}).get("content", {})
        responses = [response.get("content", {}) for response in operation["responses"].values()]
        for content in (request, *responses):
            if "application/json" in content:
                yield operation["operationId"], content["application/json"]


def test_examples_fit_their_schemas(document, operations):
    checked = 0
    for name, described in contents(operations):
        examples = [example["value"] for example in described.get("examples", {}).values()]
        examples += [described["example"]] if "example" in described else []
        schema = {**described["schema"], "components": document["components"]}
        for example in examples:
            jsonschema_rs.Draft202012Validator(schema).validate(example)
            checked += 1
        assert (
            examples
            or name == "getOpenApiDocument"
            or described["schema"]["$ref"].endswith(("/Error", "/AnthropicError"))
        )
    assert checked > 50


def test_a_wrong_example_would_be_noticed(document):
    schema = {"$ref": "#/components/schemas/Job", "components": document["components"]}
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.Draft202012Validator(schema).validate({"id": 1})


def test_a_model_may_be_left_out_where_requests_are_routed(app, document):
    routed = assemble(app, auto_route=True)
    for name in ("ChatCompletionRequest", "JobRequest"):
        assert set(document["components"]["schemas"][name]["required"]) == {"model", "messages"}
        assert routed["components"]["schemas"][name]["required"] == ["messages"]


def test_every_field_of_a_request_says_what_it_means(document):
    for name in ("ChatCompletionRequest", "JobRequest"):
        fields = document["components"]["schemas"][name]["properties"]
        assert [field for field, schema in fields.items() if "description" not in schema] == []


def test_the_page_is_as_it_would_be_written_now(document):
    """Made anew by: inference-service openapi --markdown > docs/API.md."""
    assert PAGE.read_text() == api_page.markdown(document)


def test_the_page_has_every_operation(operations):
    page = PAGE.read_text()
    assert page.count("\n### ") == len(operations)
    assert all(operation["summary"] in page for operation in operations)
