"""`tools`, `tool_choice` and their older names: what becomes of them, and of each wrong one."""

import pytest

from web.schemas import completion
from workers.constraints import arguments
from workers.contract.errors import InferenceError
from workers.contract.job import Priority
from workers.contract.tools import Tool, ToolChoice, Tools

PARAMETERS = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
}


def load(**body):
    turns = [{"role": "user", "content": "x"}]
    asked = {"model": "m", "messages": turns, **body}
    return completion.load(asked, Priority.NORMAL, most_messages=10)


def tool(name="weather", **function):
    return {"type": "function", "function": {"name": name, **function}}


def named(name):
    return {"type": "function", "function": {"name": name}}


def refusal(**body):
    with pytest.raises(InferenceError) as refused:
        load(**body)
    assert refused.value.code in ("VALIDATION_ERROR", "UNSUPPORTED_PARAMETER")
    return refused.value


def test_a_tool_is_what_was_sent():
    given = tool(description="Tells it.", parameters=PARAMETERS, strict=True)
    assert load(tools=[given]).tools == Tools((Tool("weather", "Tells it.", PARAMETERS, True),))


def test_a_tool_may_have_no_arguments():
    for absent in ({}, {"parameters": None}):
        assert load(tools=[tool(**absent)]).tools.tools == (Tool("weather"),)


def test_a_schema_without_a_type_is_an_object():
    (offered,) = load(tools=[tool(parameters={})]).tools.tools
    assert offered.parameters == {"type": "object"}


@pytest.mark.parametrize("body", [{}, {"tools": []}, {"tools": None}, {"tool_choice": "auto"}])
def test_there_may_be_no_tools(body):
    assert load(**body).tools is None


@pytest.mark.parametrize(
    ("choice", "expected", "offered"),
    [
        (None, (ToolChoice.AUTO, None), 2),
        ("auto", (ToolChoice.AUTO, None), 2),
        ("none", (ToolChoice.NONE, None), 0),
        ("required", (ToolChoice.REQUIRED, None), 2),
        (named("b"), (ToolChoice.NAMED, "b"), 2),
    ],
)
def test_a_choice(choice, expected, offered):
    tools = load(tools=[tool("a"), tool("b")], tool_choice=choice).tools
    assert (tools.choice, tools.name) == expected
    assert len(tools.offered) == offered


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_some_of_the_tools_may_be_left(mode):
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named("b")]}}
    tools = load(tools=[tool("a"), tool("b")], tool_choice=choice).tools
    assert [each.name for each in tools.offered] == ["b"]
    assert tools.choice == mode


@pytest.mark.parametrize(("given", "parallel"), [(None, True), (True, True), (False, False)])
def test_calls_may_be_held_to_one(given, parallel):
    assert load(tools=[tool()], parallel_tool_calls=given).tools.parallel is parallel


@pytest.mark.parametrize(("given", "parallel"), [(None, False), (True, True), (False, False)])
def test_a_named_tool_is_called_once_unless_several_calls_are_asked_for(given, parallel):
    choice = {"tool_choice": named("weather"), "parallel_tool_calls": given}
    assert load(tools=[tool("weather")], **choice).tools.parallel is parallel


def test_the_older_form_makes_one_call_and_is_answered_in_its_form():
    function = {"name": "weather", "parameters": PARAMETERS}
    tools = load(functions=[function], function_call={"name": "weather"}).tools
    assert tools == Tools(
        (Tool("weather", None, PARAMETERS),), ToolChoice.NAMED, "weather", False, True
    )
    assert load(functions=[function], function_call="none").tools.choice is ToolChoice.NONE


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"tools": "weather"}, "tools", "must be a list"),
        ({"tools": [3]}, "tools.0", "must be an object"),
        ({"tools": [{}]}, "tools.0.type", "is missing"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools.0.type", "must be function"),
        ({"tools": [{"type": "function"}]}, "tools.0.function", "is missing"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name", "is missing"),
        ({"tools": [tool("")]}, "tools.0.function.name", "empty"),
        ({"tools": [tool("a b")]}, "tools.0.function.name", "letters, digits"),
        ({"tools": [tool("a" * 65)]}, "tools.0.function.name", "64"),
        ({"tools": [tool("<|im_end|>")]}, "tools.0.function.name", "letters"),
        ({"tools": [tool(), tool()]}, "tools.1.function.name", "an earlier one has"),
        ({"tools": [tool(f"t{n}") for n in range(200)]}, "tools", "at most 128"),
        ({"tools": [tool(description="x" * 40_000)]}, "tools.0.function.description", "32768"),
        ({"tools": [tool(parameters=[])]}, "tools.0.function.parameters", "must be an object"),
        ({"tools": [tool(strict="yes")]}, "tools.0.function.strict", "true or false"),
        ({"tools": [tool()], "tool_choice": "any"}, "tool_choice", "none, auto, required"),
        ({"tools": [tool()], "tool_choice": 3}, "tool_choice", "none, auto, required"),
        ({"tools": [tool()], "tool_choice": {}}, "tool_choice", "none, auto, required"),
        ({"tools": [tool()], "tool_choice": named("b")}, "tool_choice", "none of the tools"),
        (
            {"tools": [tool()], "tool_choice": {"type": "function"}},
            "tool_choice.function",
            "is missing",
        ),
        ({"tool_choice": "required"}, "tool_choice", "there are none"),
        ({"tools": [], "tool_choice": named("b")}, "tool_choice", "there are none"),
        ({"tools": [tool()], "parallel_tool_calls": 1}, "parallel_tool_calls", "true or false"),
        ({"functions": [{"name": "a"}], "tools": [tool()]}, "functions", "one of both forms"),
        ({"functions": [{"name": "a b"}]}, "functions.0.name", "letters"),
        (
            {"functions": [{"name": "a"}], "function_call": {"name": "b"}},
            "function_call",
            "none of",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(body, param, words):
    refused = refusal(**body)
    assert refused.details["param"] == param
    assert words in refused.message
    assert len(refused.message) < 500


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "array"}, 'type "object"'),
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, "strin"),
        ({"properties": {"a": {"$ref": "#/$defs/nothing"}}}, "nothing"),
        ({"properties": {}, "required": ["a"], "additionalProperties": False}, "'a'"),
        ({"properties": {"a": {"multipleOf": 1_234_567}}}, "multipleOf"),
        ({"properties": {"a": {"description": "x" * 200_000}}}, "65536"),
        ({"x-guidance": {"lenient": True}}, "x-guidance"),
    ],
)
def test_a_schema_that_cannot_be_held_to_names_its_tool(schema, words):
    refused = refusal(tools=[tool("a"), tool("weather", parameters=schema)])
    assert refused.details["param"] == "tools.1.function.parameters"
    assert "'weather'" in refused.message
    assert words in refused.message


UNKNOWN = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}


def test_a_part_that_no_mask_holds_is_told_of():
    asked = load(tools=[tool(parameters=UNKNOWN)])
    assert asked.tools.tools[0].parameters == UNKNOWN
    assert "uniqueItems" in asked.relaxed[0]
    assert "weather" in asked.relaxed[0]


def test_a_strict_tool_with_such_a_part_is_refused():
    refused = refusal(tools=[tool(parameters=UNKNOWN, strict=True)])
    assert "uniqueItems" in refused.message


def test_an_expression_with_look_around_is_left_out():
    schema = {
        "type": "object",
        "properties": {
            "mail": {"type": "string", "pattern": "^(?!x)a"},
            "pattern": {"type": "string", "pattern": "^a$", "default": {"pattern": "(?!x)"}},
        },
    }
    asked = load(tools=[tool(parameters=schema)])
    held = asked.tools.tools[0].parameters["properties"]
    assert held == {"mail": {"type": "string"}, "pattern": schema["properties"]["pattern"]}
    assert "look-around" in asked.relaxed[0]
    assert "look-around" in refusal(tools=[tool(parameters=schema, strict=True)]).message


def test_all_schemas_together_have_a_bound():
    schema = {"description": "x" * 60_000}
    refused = refusal(tools=[tool(f"t{n}", parameters=schema) for n in range(5)])
    assert refused.details["param"] == "tools.4.function.parameters"
    assert str(arguments.MOST_BYTES) in refused.message


def test_the_same_tools_are_compiled_once(monkeypatch):
    schema = {"type": "object", "properties": {"once": {"type": "integer"}}}
    load(tools=[tool(parameters=schema)])
    monkeypatch.setattr(arguments.grammar, "check", lambda *_, **__: pytest.fail("compiled again"))
    assert load(tools=[tool(parameters=schema)]).tools.tools[0].parameters == schema
