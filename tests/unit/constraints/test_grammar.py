"""What an answer can be held to, token by token, without a model."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.support.constraints import AMBIGUOUS, CASES, choice, json_schema, lark, regex
from workers.constraints import bounds, grammar
from workers.constraints.gbnf import to_lark


def instances(kind):
    return [
        pytest.param(case["schema"], instance, id=f"{case['name']}-{number}")
        for case in CASES
        for number, instance in enumerate(case[kind])
    ]


@pytest.mark.parametrize(("schema", "instance"), instances("right"))
@pytest.mark.parametrize("indent", [None, 4])
def test_a_right_instance_passes_token_by_token(schema, instance, indent):
    text = json.dumps(instance, ensure_ascii=False, indent=indent)
    assert grammar.text_follows(json_schema(schema), text)


@pytest.mark.parametrize(("schema", "instance"), instances("wrong"))
def test_a_wrong_instance_cannot_be_made(schema, instance):
    assert not grammar.text_follows(json_schema(schema), json.dumps(instance, ensure_ascii=False))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_schema_of_the_reports_is_taken_whole(case):
    assert grammar.check(json_schema(case["schema"])) == ()


#: Keyword -> a schema with it that no mask can hold an answer to. docs/ENGINES.md lists them.
REFUSED = {
    "uniqueItems": {"type": "array", "uniqueItems": True},
    "propertyNames": {"type": "object", "propertyNames": {"pattern": "a"}},
    "not": {"not": {"type": "string"}},
    "if": {"if": {"type": "string"}, "then": {"minLength": 1}},
    "contains": {"type": "array", "contains": {"type": "string"}},
    "dependentRequired": {"type": "object", "dependentRequired": {"a": ["b"]}},
    "unevaluatedProperties": {"type": "object", "unevaluatedProperties": False},
}


@pytest.mark.parametrize("keyword", REFUSED)
def test_a_keyword_that_cannot_be_obeyed_is_refused_by_name(keyword):
    for schema in (REFUSED[keyword], {"type": "array", "items": REFUSED[keyword]}):
        with pytest.raises(grammar.Unobeyable, match=keyword):
            grammar.check(json_schema(schema))


def test_alternatives_that_overlap_are_relaxed_and_it_is_said():
    schema = {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 9}]}
    assert grammar.check(json_schema(schema)) == (grammar.ONE_OF_RELAXED,)
    assert grammar.text_follows(json_schema(schema), "5")
    assert grammar.check(json_schema({"oneOf": [{"type": "string"}, {"type": "integer"}]})) == ()


CONTRADICTIONS = {
    "bounds": {"type": "integer", "minimum": 5, "maximum": 3},
    "lengths": {"type": "string", "minLength": 5, "maxLength": 3},
    "types": {"allOf": [{"type": "string"}, {"type": "integer"}]},
    "no value": {"enum": []},
    "pattern": {"type": "string", "pattern": "^a$", "minLength": 3},
    "required": {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 3}},
        "required": ["a"],
    },
    "circle": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "$ref": "#/$defs/a",
    },
}


@pytest.mark.parametrize("schema", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_schema_without_instances_is_refused(schema):
    with pytest.raises(grammar.Unobeyable, match="cannot be held to: "):
        grammar.check(json_schema(schema))


def nested(levels):
    schema = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


BAD = {
    "a megabyte": json_schema({"enum": ["x" * 100 + str(i) for i in range(9000)]}),
    "deep": json_schema(nested(300)),
    "many states": json_schema({"type": "integer", "multipleOf": 1_234_567}),
    "many states together": json_schema(
        {"allOf": [{"type": "integer", "multipleOf": n} for n in (99_991, 99_989)]}
    ),
    "many states in a grammar": lark('start: %json {"type": "integer", "multipleOf": 1234567}'),
    "a product": json_schema(
        {
            "allOf": [
                {
                    "anyOf": [
                        {"type": "object", "properties": {f"p{i}": {"const": j}}} for j in (0, 1)
                    ]
                }
                for i in range(14)
            ]
        }
    ),
    "other options": json_schema({"type": "array", "x-guidance": {"lenient": True}}),
    "a reference elsewhere": json_schema({"$ref": "http://localhost/schema"}),
    "no pattern": json_schema({"type": "string", "pattern": "("}),
    "a backreference": json_schema({"type": "string", "pattern": "(a)\\1"}),
    "a look-around": regex("(?=a)b"),
    "deep groups": regex("(" * 50_000 + ")" * 50_000),
    "a long expression": regex("a" * 1_000_000),
    "a class of nothing": regex(r"[^\s\S]"),
    "no choice": choice(),
    "10,000 choices": choice(*(f"item {i}" for i in range(10_000))),
    "no grammar": lark("this is no grammar"),
    "an empty grammar": lark(""),
    "a rule without end": lark('start: start "a"'),
    "half a character": lark(to_lark('root ::= "\\ud800"')),
    "half a character in a schema": json_schema({"const": "\ud800"}),
    "a special token": lark('start: <|im_end|> "a"'),
}


@pytest.mark.parametrize("constraint", BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_bounded_time(constraint):
    began = time.thread_time()
    with pytest.raises(grammar.Unobeyable) as refused:
        grammar.check(constraint)
    assert len(str(refused.value)) < 500
    assert time.thread_time() - began < 1.0


def test_what_stalls_others_is_taken():
    """A pattern that backtracks elsewhere, a thousand alternatives, a thousand properties."""
    alternatives = [
        {"type": "object", "properties": {f"a{i}": {"type": "integer"}}, "required": [f"a{i}"]}
        for i in range(1000)
    ]
    assert grammar.check(json_schema({"anyOf": alternatives})) == ()
    assert grammar.text_follows(json_schema({"anyOf": alternatives}), '{"a777": 1}')
    pattern = json_schema({"type": "string", "pattern": "^(a+)+$"})
    assert grammar.text_follows(pattern, json.dumps("a" * 5000))
    properties = {f"property{i}": {"type": "string"} for i in range(1000)}
    wide = json_schema({"type": "object", "properties": properties})
    assert grammar.check(wide) == ()
    assert grammar.text_follows(wide, '{"property3": "x", "property999": "y"}')


def test_what_compiles_for_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(grammar, "COMPILE_S", 0.0)
    with pytest.raises(grammar.Unobeyable, match="compile"):
        grammar.check(json_schema({"enum": [f"item {i}" for i in range(3000)]}))


@pytest.mark.parametrize("text", ["yes", 'a "b"\\', "two\nlines\x01\x7f", "😀é", "/"])
def test_a_choice_is_taken_as_it_stands(text):
    constraint = choice("no", text)
    assert grammar.check(constraint) == ()
    assert grammar.text_follows(constraint, text)
    assert not grammar.text_follows(constraint, text + "x")


def test_an_expression_matches_the_whole_text():
    assert grammar.text_follows(regex(r"\d{3}-é/x"), "123-é/x")
    assert not grammar.text_follows(regex("[a-c]+"), "abd")


def test_gbnf_means_what_llama_cpp_takes_it_for():
    """Escapes by code point; a rule may leave text to the next though it could take more."""
    source = (
        'root ::= "\\u0041" [\\x41-\\x5A\\u00e9] name{2,3} # a comment\nname ::= ("a" | "b")+\n'
    )
    constraint = lark(to_lark(source))
    assert grammar.check(constraint) == ()
    assert grammar.text_follows(constraint, "AÉab".replace("É", "é"))
    assert grammar.text_follows(constraint, "ABaba")
    assert not grammar.text_follows(constraint, "ABa")
    greedy = lark(to_lark('root ::= word "b"\nword ::= [a-z]+'))
    assert grammar.text_follows(greedy, "aab")
    assert to_lark('start: "a"') == 'start: "a"'


@pytest.mark.parametrize(
    "source",
    ["(", "root ::= name", 'other ::= "a"', "root ::= " + "(" * 3000 + '"a"' + ")" * 3000, ""],
)
def test_what_is_no_gbnf_is_refused(source):
    with pytest.raises(ValueError, match=r"neither Lark nor GBNF|nested"):
        to_lark(source)


def test_a_grammar_of_many_rules_is_refused():
    rules = bounds.MOST_GBNF_RULES + 1
    chain = "\n".join(f"r{i} ::= r{i + 1}" for i in range(rules))
    with pytest.raises(bounds.TooLarge, match="rules"):
        to_lark(f'root ::= r0\n{chain}\nr{rules} ::= "a"')


def test_the_ambiguous_schema_costs_little_a_token():
    text = '{"x":' * 150
    matcher_s = time.thread_time()
    assert not grammar.text_follows(json_schema(AMBIGUOUS), text)
    assert time.thread_time() - matcher_s < 1.0


def test_properties_follow_a_schema_in_any_order():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
        "required": ["a", "b"],
    }
    assert grammar.text_follows(json_schema(schema), '{"b": "x", "a": 1}')
    assert not grammar.text_follows(json_schema(schema), '{"b": 1, "a": 1}')


def test_the_page_on_engines_lists_what_is_obeyed_and_refused():
    page = (Path(__file__).parents[3] / "docs/ENGINES.md").read_text()
    section = page.partition("## JSON and grammars")[2].partition("\n## ")[0]
    (refused,) = re.findall(r"\*\*Refused\*\*.*?\n\n", section, re.DOTALL)
    assert [keyword for keyword in REFUSED if f"`{keyword}`" not in refused] == []
    (formats,) = re.findall(r"\*\*Formats\*\*: ([^.]*)\.", section)
    for name in formats.split(", "):
        assert grammar.check(json_schema({"type": "string", "format": name})) == ()
    with pytest.raises(grammar.Unobeyable, match="regex"):
        grammar.check(json_schema({"type": "string", "format": "regex"}))


#: Keyword -> a schema with it, and a value that it takes and one that it does not.
OBEYED = {
    "minProperties": ({"type": "object", "minProperties": 2}, {"a": 1, "b": 2}, {"a": 1}),
    "maxProperties": ({"type": "object", "maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
    "patternProperties": (
        {
            "type": "object",
            "patternProperties": {"^a": {"type": "integer"}},
            "additionalProperties": False,
        },
        {"ab": 1},
        {"b": 1},
    ),
    "multipleOf": ({"type": "integer", "multipleOf": 7}, 21, 22),
    "exclusiveMaximum": ({"type": "integer", "exclusiveMaximum": 3}, 2, 3),
    "maxItems": ({"type": "array", "maxItems": 1}, [1], [1, 2]),
    "maxLength": ({"type": "string", "maxLength": 2}, "é😀", "abc"),
    "const": ({"const": {"a": [1]}}, {"a": [1]}, {"a": [2]}),
}


@pytest.mark.parametrize("keyword", OBEYED)
def test_a_keyword_that_the_page_names_is_obeyed(keyword):
    schema, right, wrong = OBEYED[keyword]
    assert grammar.text_follows(json_schema(schema), json.dumps(right))
    assert not grammar.text_follows(json_schema(schema), json.dumps(wrong))
