"""JSON, Python's literals and values without quotes, however their text is cut."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.engines.tool_calls.argument_types import properties_of, to_json, types_of
from workers.engines.tool_calls.json_scanner import DEEPEST, JsonScanner
from workers.engines.tool_calls.python_values import PythonValue

calm = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # No surrogates: text of a model is Unicode.
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab\"'\\é\n", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def scan(pieces):
    """Whether these pieces are a whole JSON value, with a space after it."""
    scanner = JsonScanner()
    for piece in (*pieces, " "):
        end = scanner.scan(piece, 0)
        if scanner.broken or piece[end:].strip(" \t\n\r"):
            return False
    return scanner.ended


@calm
@given(VALUES, st.sampled_from([None, 1]), st.data())
def test_json_is_what_pythons_reader_takes(value, indent, data):
    text = json.dumps(value, indent=indent, ensure_ascii=data.draw(st.booleans()))
    assert scan([text])
    assert scan(text)
    place = data.draw(st.integers(0, len(text)))
    other = text[:place] + data.draw(st.sampled_from('{}[]",:\\01-.eEtnu \n\x01x'))
    other += text[place + data.draw(st.integers(0, 1)) :]
    try:
        json.loads(other, parse_constant=lambda word: 1 / 0)
        is_json = True
    except (ValueError, ZeroDivisionError):
        is_json = False
    assert scan([other]) is scan(other) is is_json


def test_the_depth_has_a_bound():
    assert scan(["[" * DEEPEST + "]" * DEEPEST])
    assert not scan(["[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)])


def converted(pieces):
    """JSON of a Python literal in pieces; None where it is none."""
    value, made = PythonValue(), ""
    for piece in (*pieces, ")"):
        _, given_out = value.read(piece, 0)
        made += given_out
        if value.broken:
            return None
        if value.ended:
            break
    return made if value.ended else None


@calm
@given(VALUES)
def test_what_python_writes_is_json(value):
    text = repr(value)
    made = converted([text])
    assert made == converted(text)
    assert json.loads(made) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1, 'a',)", [1, "a"]),
        ("{'a': [true, None,],}", {"a": [True, None]}),
        (r"'\x41\u00e9\U0001f642\d\a\0\/'", "Aé🙂\\d\x07\x00/"),
        ("'a\nb\\\nc'", "a\nbc"),
        ("+1", 1),
        (".5", 0.5),
        ("1_000", 1000),
        ("0x1f", 31),
    ],
)
def test_literals_of_python(text, value):
    assert json.loads(converted([text])) == json.loads(converted(text)) == value


@pytest.mark.parametrize(
    "text",
    ["{1, 2}", "b'a'", "f()", "[1 2]", "[1)", "nan", "lambda", "'\\xzz'", "[,]", "1+1"],
)
def test_what_is_no_literal(text):
    assert converted([text]) is None


SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"$ref": "#/$defs/count"},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "choice": {"enum": ["a", 1, None]},
        "any": {},
        "true": True,
        "loop": {"$ref": "#/properties/loop"},
        "nowhere": {"$ref": "#/$defs/nothing"},
    },
    "$defs": {"count": {"type": ["integer", "null"]}},
}


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("text", {"string"}),
        ("count", {"integer", "null"}),
        ("either", {"string", "null"}),
        ("choice", {"string", "integer", "number", "null"}),
        ("any", set()),
        ("true", set()),
        ("loop", set()),
        ("nowhere", set()),
        ("not there", set()),
    ],
)
def test_the_types_of_an_argument(name, types):
    assert types_of(properties_of(SCHEMA).get(name), SCHEMA) == types


def test_the_properties_may_be_elsewhere():
    assert (
        properties_of({"$ref": "#/$defs/a", "$defs": {"a": SCHEMA}}).keys()
        == SCHEMA["properties"].keys()
    )
    assert properties_of({"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}}}) == {
        "a": {},
        "b": {},
    }
    assert properties_of(None) == properties_of({"$ref": "#"}) == {}


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("3", {"string"}, '"3"'),
        ("3", {"integer"}, "3"),
        (" 3 ", set(), "3"),
        ("3.0", {"integer"}, "3.0"),
        ("3.5", {"integer"}, '"3.5"'),
        ("True", {"boolean"}, "true"),
        ("None", {"string", "null"}, "null"),
        ("none", {"string", "null"}, '"none"'),
        ('{"a": 1}', {"object"}, '{"a": 1}'),
        ("NaN", {"number"}, '"NaN"'),
        ('"a"', set(), '"\\"a\\""'),
        ("[" * 100_000, {"array"}, json.dumps("[" * 100_000)),
        ("a b\n", set(), '"a b\\n"'),
    ],
)
def test_a_value_without_quotes(text, types, value):
    assert to_json(text, frozenset(types)) == value
