"""Every spelling of a constraint: obeyed, or refused by name."""

import json

import pytest

from web.schemas import completion
from workers.contract.constraint import ConstraintKind
from workers.contract.errors import InferenceError
from workers.contract.job import Priority
from workers.contract.sampling import sampling_from

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
OVERLAPPING = {"oneOf": [{"type": "integer"}, {"type": "number"}]}


def load(**body):
    turns = [{"role": "user", "content": "x"}]
    asked = {"model": "m", "messages": turns, **body}
    return completion.load(asked, Priority.NORMAL, most_messages=10)


OBEYED = [
    ({"response_format": {"type": "json_object"}}, "json_object"),
    ({"response_format": {"type": "json_object", "schema": SCHEMA}}, "json_schema"),
    ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, "json_schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        "json_schema",
    ),
    ({"structured_outputs": {"json": SCHEMA}}, "json_schema"),
    ({"structured_outputs": {"json": json.dumps(SCHEMA)}}, "json_schema"),
    ({"structured_outputs": {"json_object": True, "regex": None}}, "json_object"),
    ({"structured_outputs": {"regex": "a+"}}, "regex"),
    ({"structured_outputs": {"choice": ["a", "b"]}}, "choice"),
    ({"structured_outputs": {"grammar": 'start: "a"', "_backend": "xgrammar"}}, "lark"),
    ({"guided_json": SCHEMA}, "json_schema"),
    ({"guided_json": json.dumps(SCHEMA)}, "json_schema"),
    ({"guided_regex": "(a+)+$"}, "regex"),
    ({"guided_choice": ["a"]}, "choice"),
    ({"guided_grammar": 'root ::= "a"'}, "lark"),
    ({"grammar": 'root ::= "a"'}, "lark"),
    ({"json_schema": SCHEMA}, "json_schema"),
]


@pytest.mark.parametrize(
    ("body", "kind"), OBEYED, ids=[json.dumps(body)[:60] for body, _ in OBEYED]
)
def test_every_spelling_becomes_the_one_constraint(body, kind):
    asked = load(**body)
    assert asked.sampling.constraint.kind is ConstraintKind(kind)
    assert asked.ignored == asked.relaxed == ()
    written = json.loads(json.dumps(asked.sampling.to_dict()))
    assert sampling_from(written) == asked.sampling


REFUSED = [
    ({"guided_json": SCHEMA, "guided_regex": "a"}, 422, "guided_regex"),
    ({"response_format": {"type": "json_object"}, "grammar": 'root ::= "a"'}, 422, "grammar"),
    ({"structured_outputs": {"choice": ["a"], "regex": "b"}}, 422, "structured_outputs.choice"),
    ({"structured_outputs": {}}, 422, "structured_outputs"),
    ({"structured_outputs": {"json_object": False}}, 422, "structured_outputs"),
    ({"structured_outputs": {"colour": "red"}}, 422, "structured_outputs.colour"),
    ({"structured_outputs": {"structural_tag": "{}"}}, 400, "structured_outputs.structural_tag"),
    ({"guided_whitespace_pattern": " "}, 400, "guided_whitespace_pattern"),
    ({"guided_json": "{"}, 422, "guided_json"),
    ({"guided_json": [SCHEMA]}, 422, "guided_json"),
    ({"guided_json": "[" * 5000}, 422, "guided_json"),
    ({"guided_json": {"type": "array", "uniqueItems": True}}, 422, "guided_json"),
    ({"guided_choice": []}, 422, "guided_choice"),
    ({"guided_choice": ["a"] * 10_000}, 422, "guided_choice"),
    ({"guided_choice": ["a", 1]}, 422, "guided_choice.1"),
    ({"guided_regex": "a" * 1_000_000}, 422, "guided_regex"),
    ({"guided_regex": "("}, 422, "guided_regex"),
    ({"guided_grammar": "no grammar"}, 422, "guided_grammar"),
    ({"grammar": ""}, 422, "grammar"),
    ({"json_schema": {"enum": ["x" * 1_000_000]}}, 422, "json_schema"),
    ({"response_format": {"type": "json_schema"}}, 422, "response_format.json_schema"),
    (
        {"response_format": {"type": "json_object", "schema": {"not": {}}}},
        422,
        "response_format.schema",
    ),
]


@pytest.mark.parametrize(
    ("body", "status", "param"), REFUSED, ids=[json.dumps(body)[:60] for body, *_ in REFUSED]
)
def test_what_cannot_be_obeyed_is_refused_and_named(body, status, param):
    with pytest.raises(InferenceError) as refused:
        load(**body)
    code = {422: "VALIDATION_ERROR", 400: "UNSUPPORTED_PARAMETER"}[status]
    assert (refused.value.code, refused.value.details["param"]) == (code, param)
    assert len(refused.value.message) < 500


def test_any_text_is_no_constraint():
    assert load(response_format={"type": "text"}, grammar=None).sampling.constraint is None


def test_what_is_relaxed_is_said():
    asked = load(guided_json=OVERLAPPING)
    assert "oneOf" in asked.relaxed[0]


def test_a_backend_of_another_server_changes_nothing():
    assert load(guided_decoding_backend="xgrammar").ignored == ("guided_decoding_backend",)
