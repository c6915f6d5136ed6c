"""What models of each family write where they call tools, and what of it is content and calls.

Written from the families' documented formats: `workers/engines/tool_calls/families/` names them.
"""

import json
from dataclasses import dataclass

from workers.contract.tools import CallPart, Tool, Tools

WEATHER = Tool(
    "get_weather",
    "The weather of a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)
NOW = Tool("now", "The time.")
SEARCH = Tool(
    "search-notes",
    "Search.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "filter": {
                "type": "object",
                "properties": {
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "deep": {"$ref": "#/$defs/deep"},
                },
            },
            "exact": {"type": "boolean"},
        },
        "required": ["query"],
        "$defs": {"deep": {"type": ["object", "null"], "additionalProperties": True}},
    },
)
TOOLS = Tools((WEATHER, NOW, SEARCH))


@dataclass(frozen=True)
class Read:
    """An answer as it was read."""

    content: str
    #: Name and arguments of each call, as text.
    calls: tuple[tuple[str, str], ...]
    ids: tuple[str, ...]
    notes: tuple[str, ...]
    opened: str


def read(family, pieces, tools=TOOLS):
    """What a family's parser makes of an answer that comes in these pieces."""
    parser = family.parser(tools, "chatcmpl-1")
    given = [part for piece in pieces for part in parser.push(piece)]
    given += parser.finish()
    return joined(given, parser)


def joined(given, parser):
    content, calls, ids = [], [], []
    for part in given:
        if isinstance(part, CallPart):
            if part.id:
                assert part.name
                assert part.index == len(calls), "ids come once, in order"
                calls.append([part.name, ""])
                ids.append(part.id)
            assert part.index == len(calls) - 1, "pieces of a call come before the next one"
            calls[part.index][1] += part.arguments
        else:
            assert part, "no empty content"
            content.append(part)
    assert parser.calls == len(calls)
    return Read(
        "".join(content),
        tuple((name, arguments) for name, arguments in calls),
        tuple(ids),
        tuple(parser.notes),
        parser.opened,
    )


@dataclass(frozen=True)
class Transcript:
    """One answer of one family."""

    family: str
    what: str
    text: str
    calls: tuple[tuple[str, object], ...] = ()
    content: str = ""
    #: The grammar of a required call takes the text; None: it is not asked.
    held: bool | None = None
    #: A part of the note that says what is wrong.
    note: str = ""
    #: The arguments of the last call are no JSON: they are compared as text.
    broken: bool = False

    def __str__(self):
        return f"{self.family}: {self.what}"


PARIS = ("get_weather", {"city": "Paris"})
ROME = ("get_weather", {"city": "Rome", "days": 3})
TIME = ("now", {})
NESTED = (
    "search-notes",
    {"query": "a", "filter": {"tags": ["x", "y"], "deep": {"a": [1, {"b": None}]}}, "exact": True},
)
UNICODE = ("get_weather", {"city": "Köln 三 🙂 \u2028"})
#: Each family's marks are in it, but the closing tag that Qwen3-Coder has no escape for.
MARKS = (
    "get_weather",
    {
        "city": '"}]) <tool_call>{"name": "now"}</tool_call> [TOOL_CALLS] \\ \' ; ```\n'
        "<｜tool▁call▁end｜><|call|><|/tool_call|> functools[ [now()] </function>{{"
    },
)
CALLS = {
    "one call": (PARIS,),
    "two calls": (PARIS, ROME),
    "empty arguments": (TIME,),
    "nested": (NESTED,),
    "unicode": (UNICODE,),
    "marks in a text": (MARKS,),
    "marks in a text, then another": (MARKS, TIME),
}


def arguments(calls):
    """The calls with their arguments as Python has them."""
    return tuple((name, json.loads(text)) for name, text in calls)


TRANSCRIPTS = [
    # Hermes.
    Transcript(
        "hermes",
        "one call",
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
        (PARIS,),
        held=True,
    ),
    Transcript(
        "hermes",
        "two calls after content",
        'I look both up.\n\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n'
        '</tool_call>\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}'
        "\n</tool_call>\n",
        (PARIS, ROME),
        "I look both up.",
    ),
    Transcript(
        "hermes",
        "content between and after",
        'a\n<tool_call>{"name":"now","arguments":{}}</tool_call>\n b <tool_call>\n'
        '{"arguments": {"city": "Paris"}, "name": "get_weather"}</tool_call> c ',
        (TIME, PARIS),
        "a\n b c",
    ),
    Transcript(
        "hermes",
        "no arguments at all",
        '<tool_call>{"name": "now"}</tool_call>',
        (TIME,),
        held=False,
    ),
    Transcript(
        "hermes",
        "arguments in a text",
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}", "id": "7"}'
        "</tool_call>",
        (PARIS,),
        held=False,
    ),
    Transcript(
        "hermes",
        "a list, and no closing mark",
        '<tool_call>[{"name": "now", "arguments": {}}, '
        '{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        (TIME, PARIS),
        held=False,
    ),
    Transcript(
        "hermes",
        "a tool that is not there",
        '<tool_call>\n{"name": "get_wether", "arguments": {"city": "Paris"}}\n</tool_call>',
        content='<tool_call>\n{"name": "get_wether", "arguments": {"city": "Paris"}}\n</tool_call>',
        held=False,
        note="'get_wether' is none of the tools",
    ),
    Transcript(
        "hermes",
        "a wrong call, then a right one",
        '<tool_call>{"name": "f"}</tool_call>\n<tool_call>{"name": "now"}</tool_call>',
        (TIME,),
        '<tool_call>{"name": "f"}</tool_call>',
        note="'f' is none of the tools",
    ),
    Transcript(
        "hermes",
        "a mark that a sentence is about",
        "Calls begin with <tool_call> here.\n",
        content="Calls begin with <tool_call> here.\n",
        note="<tool_call> was not followed by a call.",
    ),
    Transcript(
        "hermes",
        "broken before the arguments began",
        '<tool_call>{"name": get_weather, "arguments": {"city": "Paris"}}</tool_call>',
        content='<tool_call>{"name": get_weather, "arguments": {"city": "Paris"}}</tool_call>',
        held=False,
        note="<tool_call> was not followed by a call.",
    ),
    Transcript(
        "hermes",
        "arguments that break",
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris" oops}}</tool_call>x',
        (("get_weather", '{"city": "Paris" oops}}'),),
        "x",
        held=False,
        note="break in their middle",
        broken=True,
    ),
    Transcript(
        "hermes",
        "cut in the arguments",
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Par',
        (("get_weather", '{"city": "Par'),),
        note="end before they are whole",
        broken=True,
    ),
    Transcript(
        "hermes",
        "cut before the name",
        'Well. <tool_call>{"name": "get_w',
        content='Well. <tool_call>{"name": "get_w',
        note="ends in a call that has no name yet",
    ),
    Transcript(
        "hermes",
        "cut in the closing mark",
        '<tool_call>{"name": "now", "arguments": {}}\n</tool_c',
        (TIME,),
    ),
    Transcript("hermes", "content alone", " 2 < 3 <tool\n", content=" 2 < 3 <tool\n"),
    # Llama.
    Transcript(
        "llama-json",
        "one call",
        '{"name": "get_weather", "parameters": {"city": "Paris"}}',
        (PARIS,),
        held=True,
    ),
    Transcript(
        "llama-json",
        "after the mark, with a type",
        '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Paris"}}',
        (PARIS,),
    ),
    Transcript(
        "llama-json",
        "two calls",
        '{"name": "get_weather", "parameters": {"city": "Paris"}}; '
        '{"name": "get_weather", "parameters": {"city": "Rome", "days": 3}}',
        (PARIS, ROME),
        held=True,
    ),
    Transcript(
        "llama-json",
        "after a sentence",
        'I look.\n\n{"name": "now", "parameters": {}}',
        (TIME,),
        "I look.",
    ),
    Transcript(
        "llama-json",
        "JSON that is no call",
        '{"city": "Paris", "name": "now"}\n',
        content='{"city": "Paris", "name": "now"}\n',
        held=False,
    ),
    Transcript(
        "llama-json",
        "JSON inside a line",
        'Send {"name": "now", "parameters": {}} to it.',
        content='Send {"name": "now", "parameters": {}} to it.',
    ),
    Transcript(
        "llama-json",
        "code after the mark",
        "<|python_tag|>print(1)",
        content="<|python_tag|>print(1)",
        note="<|python_tag|> was not followed by a call.",
    ),
    Transcript(
        "llama-pythonic",
        "one call",
        "[get_weather(city='Paris')]",
        (PARIS,),
        held=False,
    ),
    Transcript(
        "llama-pythonic",
        "two calls",
        '[get_weather(city="Paris"), get_weather(city="Rome", days=3)]',
        (PARIS, ROME),
        held=True,
    ),
    Transcript(
        "llama-pythonic",
        "marks of Llama 4, and no arguments",
        "<|python_start|>[now()]<|python_end|>",
        (TIME,),
    ),
    Transcript(
        "llama-pythonic",
        "Python's literals",
        "[search-notes(query='it\\'s \"a\"\\n', exact=True, filter={'tags': ('x', \"y\",), 'deep': "
        "{'a': [1_0, -.5, None, 0x10, 1e3],}}, )]",
        (
            (
                "search-notes",
                {
                    "query": 'it\'s "a"\n',
                    "exact": True,
                    "filter": {"tags": ["x", "y"], "deep": {"a": [10, -0.5, None, 16, 1000.0]}},
                },
            ),
        ),
        held=False,
    ),
    Transcript(
        "llama-pythonic",
        "brackets that are no call",
        "[1, 2]\n[now] (x)\n[notes](now)\n",
        content="[1, 2]\n[now] (x)\n[notes](now)\n",
        held=False,
    ),
    Transcript(
        "llama-pythonic",
        "an argument without a name",
        '[get_weather("Paris")]',
        (("get_weather", '"Paris")]'),),
        held=False,
        note="break in their middle",
        broken=True,
    ),
    Transcript(
        "llama-pythonic",
        "cut in an argument",
        '[get_weather(city="Paris", days=1',
        (("get_weather", '{"city": "Paris", "days": 1'),),
        note="end before they are whole",
        broken=True,
    ),
    # Mistral.
    Transcript(
        "mistral",
        "one call",
        '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        (PARIS,),
        held=True,
    ),
    Transcript(
        "mistral",
        "two calls with ids, after content",
        'Yes. [TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "a1b2c3d4e"}'
        ', {"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}]',
        (PARIS, ROME),
        "Yes.",
    ),
    Transcript(
        "mistral",
        "the second is no tool",
        '[TOOL_CALLS][{"name": "now", "arguments": {}}, {"name": "f", "arguments": {}}]',
        (TIME,),
        ', {"name": "f", "arguments": {}}]',
        held=False,
        note="'f' is none of the tools",
    ),
    Transcript(
        "mistral-args",
        "one call",
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}',
        (PARIS,),
        held=True,
    ),
    Transcript(
        "mistral-args",
        "two calls, with an id, after content",
        'Yes.[TOOL_CALLS]get_weather[CALL_ID]a1b2c3d4e[ARGS]{"city": "Paris"}'
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Rome", "days": 3}',
        (PARIS, ROME),
        "Yes.",
    ),
    Transcript(
        "mistral-args",
        "a tool that is not there",
        "[TOOL_CALLS]weather[ARGS]{} ?",
        content="[TOOL_CALLS]weather[ARGS]{} ?",
        held=False,
        note="'weather' is none of the tools",
    ),
    Transcript(
        "mistral-args",
        "a mark without a call",
        "[TOOL_CALLS] is a mark.",
        content="[TOOL_CALLS] is a mark.",
        held=False,
        note="ends in a call that has no name yet",
    ),
    # DeepSeek.
    Transcript(
        "deepseek",
        "one call",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        '{"city": "Paris"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        (PARIS,),
        held=True,
    ),
    Transcript(
        "deepseek",
        "two calls after content",
        "I look.\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
        '```json\n{"city": "Paris"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>'
        'get_weather\n```json\n{"city": "Rome", "days": 3}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        (PARIS, ROME),
        "I look.",
    ),
    Transcript(
        "deepseek",
        "a mark without a call",
        "<｜tool▁calls▁begin｜><｜tool▁calls▁end｜>",
        content="<｜tool▁calls▁begin｜><｜tool▁calls▁end｜>",
        held=False,
        note="ends in a call that has no name yet",
    ),
    Transcript(
        "deepseek-v3.1",
        "two calls",
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}'
        '<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Rome", "days": 3}'
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        (PARIS, ROME),
        held=True,
    ),
    Transcript(
        "deepseek-v3.1",
        "cut in the arguments",
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city"',
        (("get_weather", '{"city"'),),
        note="end before they are whole",
        broken=True,
    ),
    # Granite and Phi-4.
    Transcript(
        "granite",
        "two calls",
        '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, '
        '{"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}]',
        (PARIS, ROME),
        held=True,
    ),
    Transcript(
        "granite",
        "the other mark",
        '<tool_call>[{"name": "now", "arguments": {}}]',
        (TIME,),
        held=False,
    ),
    Transcript(
        "phi-4-mini",
        "two calls",
        '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, '
        '{"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}]<|/tool_call|>',
        (PARIS, ROME),
        held=True,
    ),
    Transcript(
        "phi-4-mini",
        "the other mark, after content",
        'I look.\nfunctools[{"name": "now", "arguments": {}}]',
        (TIME,),
        "I look.",
    ),
    Transcript(
        "phi-4",
        "one call",
        'functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        (PARIS,),
        held=True,
    ),
    Transcript(
        "phi-4",
        "the module of that name",
        "import functools\nfunctools.cache",
        content="import functools\nfunctools.cache",
    ),
    # Qwen3-Coder.
    Transcript(
        "qwen3-coder",
        "one call",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n"
        "</tool_call>",
        (PARIS,),
        held=True,
    ),
    Transcript(
        "qwen3-coder",
        "two calls after content, typed by the schema",
        "I look.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
        "</function>\n</tool_call>\n<tool_call>\n<function=get_weather>\n<parameter=city>\nRome\n"
        "</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
        (PARIS, ROME),
        "I look.",
    ),
    Transcript(
        "qwen3-coder",
        "text of several lines, and an object",
        '<tool_call>\n<function=search-notes>\n<parameter=query>\n3\n\n "a" <b>\n</parameter>\n'
        '<parameter=filter>\n{"tags": ["x"],\n "deep": null}\n</parameter>\n<parameter=exact>\nTrue\n'
        "</parameter>\n</function>\n</tool_call>",
        (
            (
                "search-notes",
                {"query": '3\n\n "a" <b>', "filter": {"tags": ["x"], "deep": None}, "exact": True},
            ),
        ),
        held=False,
    ),
    Transcript(
        "qwen3-coder",
        "without the outer mark",
        "<function=now>\n</function>",
        (TIME,),
        held=False,
    ),
    Transcript(
        "qwen3-coder",
        "a value of the wrong type",
        "<tool_call><function=get_weather><parameter=days>soon</parameter></function></tool_call>",
        (("get_weather", {"days": "soon"}),),
        held=False,
    ),
    Transcript(
        "qwen3-coder",
        "a tool that is not there",
        "<tool_call>\n<function=f>\n</function>\n</tool_call>",
        content="<tool_call>\n<function=f>\n</function>\n</tool_call>",
        held=False,
        note="'f' is none of the tools",
    ),
    Transcript(
        "qwen3-coder",
        "cut in a text",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nPar",
        (("get_weather", '{"city": "Par'),),
        note="end before they are whole",
        broken=True,
    ),
    # gpt-oss, as its splitter hands it on.
    Transcript(
        "harmony",
        "one call",
        "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
        '{"city": "Paris"}<|call|>',
        (PARIS,),
    ),
    Transcript(
        "harmony",
        "the receiver before the channel",
        "<|start|>assistant to=functions.now<|channel|>commentary json<|message|>{}<|call|>",
        (TIME,),
    ),
    Transcript(
        "harmony",
        "a tool that is not there",
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        content="<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        held=False,
        note="'f' is none of the tools",
    ),
    # Plain JSON.
    Transcript(
        "json",
        "one call",
        '{"name": "get_weather", "arguments": {"city": "Paris"}}',
        (PARIS,),
        held=True,
    ),
    Transcript(
        "json",
        "two calls",
        '[{"name": "get_weather", "arguments": {"city": "Paris"}}, '
        '{"name": "get_weather", "arguments": {"city": "Rome", "days": 3}}]',
        (PARIS, ROME),
        held=True,
    ),
    Transcript(
        "json",
        "in a fence, after a sentence",
        'I look.\n\n```json\n{\n  "name": "get_weather",\n  "arguments": {"city": "Paris"}\n}\n```\n',
        (PARIS,),
        "I look.",
    ),
    Transcript(
        "json",
        "code in a fence",
        "```python\nprint({})\n```\n",
        content="```python\nprint({})\n```\n",
    ),
    Transcript(
        "json",
        "JSON that was asked for",
        '{"name": "Peter", "arguments": ["a", "b"]}',
        content='{"name": "Peter", "arguments": ["a", "b"]}',
        held=False,
        note="'Peter' is none of the tools",
    ),
]
