"""Grammars of calls: what a family writes follows them, and nothing else does."""

import json

import pytest
from llguidance import LLMatcher, LLTokenizer

from tests.support.tool_transcripts import CALLS, NOW, TOOLS, TRANSCRIPTS, WEATHER, read
from workers.constraints.bounds import LIMITS
from workers.contract.tools import Tool, ToolChoice, Tools
from workers.engines.tool_calls.base import WrittenCall
from workers.engines.tool_calls.registry import families

FAMILIES = families()
#: In a vocabulary of single bytes a mark is text.
AS_TEXT = {}.get
#: The end of a turn, which is a token that the grammar leaves to the engine.
ENDS = "<|call|>"
#: JSON's words stand inside lists and objects: see the module.
NOT_HELD = {("llama-pythonic", "nested")}
PAIRS = [
    pytest.param(family, calls, id=f"{name}: {what}")
    for name, family in FAMILIES.items()
    for what, calls in CALLS.items()
    if (name != "harmony" or len(calls) == 1) and (name, what) not in NOT_HELD
]


@pytest.fixture(scope="module")
def vocabulary():
    return LLTokenizer("byte")


def follows(vocabulary, grammar, text):
    """Whether a whole text follows a grammar."""
    matcher = LLMatcher(
        vocabulary, LLMatcher.grammar_from_lark(grammar), log_level=0, limits=LIMITS
    )
    assert not matcher.is_error(), matcher.get_error()
    tokens = list(text.encode())
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def written(family, calls):
    text = family.write(
        [WrittenCall(name, json.dumps(given, ensure_ascii=False)) for name, given in calls]
    )
    return text.removesuffix(ENDS)


@pytest.mark.parametrize(("family", "calls"), PAIRS)
def test_what_a_family_writes_follows(vocabulary, family, calls):
    text = written(family, calls)
    opened = read(family, [text]).opened
    assert follows(vocabulary, family.grammar(TOOLS, AS_TEXT), text)
    after = family.grammar_after(opened, TOOLS, AS_TEXT)
    said = text[text.index(opened) :]
    assert follows(vocabulary, after, said)
    # The token in which the mark begins may hold what stands before it.
    assert follows(vocabulary, after, f"é {said}")


@pytest.mark.parametrize(
    "transcript", [each for each in TRANSCRIPTS if each.held is not None], ids=str
)
def test_transcripts(vocabulary, transcript):
    grammar = FAMILIES[transcript.family].grammar(TOOLS, AS_TEXT)
    assert follows(vocabulary, grammar, transcript.text.removesuffix(ENDS)) is transcript.held


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param((("get_wether", {"city": "Paris"}),), id="no such tool"),
        pytest.param((("get_weather", {"days": 1}),), id="a required argument is not there"),
        pytest.param((("get_weather", {"city": "a", "days": "1x"}),), id="another type"),
        pytest.param((("get_weather", {"city": "a", "unit": "kelvin"}),), id="not of the enum"),
        pytest.param((("now", {"x": 1}),), id="an argument too many"),
    ],
)
def test_wrong_calls_do_not_follow(vocabulary, family, calls):
    text = written(family, calls)
    assert not follows(vocabulary, family.grammar(TOOLS, AS_TEXT), text)
    opened = read(family, [written(family, (("get_weather", {"city": "a"}),))]).opened
    if opened in text:
        after = family.grammar_after(opened, TOOLS, AS_TEXT)
        assert not follows(vocabulary, after, text[text.index(opened) :])


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_text_is_no_call(vocabulary, family):
    grammar = family.grammar(TOOLS, AS_TEXT)
    for text in ("", "Paris", written(family, CALLS["one call"])[:-3], "{}", "[]"):
        assert not follows(vocabulary, grammar, text)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_one_call_where_they_are_not_parallel(vocabulary, family):
    one = Tools(TOOLS.tools, parallel=False)
    texts = [written(family, CALLS[what]) for what in ("one call", "two calls")]
    opened = read(family, [texts[0]]).opened
    for grammar in (family.grammar(one, AS_TEXT), family.grammar_after(opened, one, AS_TEXT)):
        assert follows(vocabulary, grammar, texts[0])
        assert not follows(vocabulary, grammar, texts[1])


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_named_tool_alone(vocabulary, family):
    named = Tools(TOOLS.tools, ToolChoice.NAMED, "now")
    grammar = family.grammar(named, AS_TEXT)
    assert follows(vocabulary, grammar, written(family, CALLS["empty arguments"]))
    assert not follows(vocabulary, grammar, written(family, CALLS["one call"]))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_function_takes_what_its_schema_names(vocabulary, family):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = Tools((Tool("get_weather", None, schema),), ToolChoice.REQUIRED)
    grammar = family.grammar(tools, AS_TEXT)
    named, invented = {"city": "a"}, {"city": "a", "unit": "b"}
    assert follows(vocabulary, grammar, written(family, (("get_weather", named),)))
    assert not follows(vocabulary, grammar, written(family, (("get_weather", invented),)))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_marks_are_tokens_where_the_vocabulary_has_them(vocabulary, family):
    """Two bytes that no text has stand for a mark's token."""
    tokens = {mark: number for number, mark in enumerate(family.marks, 1)}
    grammar = family.grammar(TOOLS, tokens.get)
    text = written(family, CALLS["one call"])
    as_tokens = text
    for mark, token in sorted(tokens.items(), key=lambda pair: -len(pair[0])):
        as_tokens = as_tokens.replace(mark, chr(token))
    assert follows(vocabulary, grammar, as_tokens)
    opened = read(family, [text]).opened
    after = family.grammar_after(opened, TOOLS, tokens.get)
    begin = "".join(chr(tokens[opened]) if opened in tokens else opened)
    assert follows(vocabulary, after, as_tokens[as_tokens.index(begin) :])
    if as_tokens != text and family.name != "harmony":
        assert not follows(vocabulary, grammar, text), "a mark that is spelled is none"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_schemas_of_every_kind(vocabulary, family):
    """No schema that a tool may have leaves a family without a grammar."""
    schemas = [
        {},
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
        {"properties": {"a": True, "b": {}, "c": {"const": "x"}, "d": {"enum": [1, "1", None]}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"b": {}}}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "string"}]}}},
        {"type": "object", "properties": {'q"uo\nte': {"type": "string", "pattern": "^a+$"}}},
        {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}},
    ]
    for schema in schemas:
        tools = Tools((Tool("f", parameters=schema), NOW))
        text = written(family, (("f", {"a": "1"} if schema.get("properties") == {} else {}),))
        grammar = family.grammar(tools, AS_TEXT)
        assert follows(vocabulary, grammar, text) or schema.get("additionalProperties")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_many_tools(vocabulary, family):
    many = Tools(tuple(Tool(f"tool_{n}", parameters=WEATHER.parameters) for n in range(128)))
    text = written(family, (("tool_77", {"city": "Paris"}),))
    assert follows(vocabulary, family.grammar(many, AS_TEXT), text)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_grammar_has_a_bound(vocabulary, family):
    """Where each argument has a grammar of its own, each would have a copy of all definitions."""
    definitions = {f"d{n}": {"type": "object", "description": "x" * 400} for n in range(100)}
    properties = {f"p{n}": {"$ref": f"#/$defs/d{n % 100}"} for n in range(300)}
    schema = {"type": "object", "properties": properties, "$defs": definitions}
    grammar = family.grammar(Tools((Tool("f", parameters=schema),)), AS_TEXT)
    assert len(grammar) < 2_000_000
    assert follows(vocabulary, grammar, written(family, (("f", {"p0": {}, "p299": {"a": 1}}),)))
