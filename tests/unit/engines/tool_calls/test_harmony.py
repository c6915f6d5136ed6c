"""gpt-oss: its splitter hands messages to functions on to the parser of calls, whole."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presets.model import Reasoning
from tests.support.tool_transcripts import TOOLS, joined
from workers.engines.harmony import TAGS
from workers.engines.reasoning import splitter
from workers.engines.tool_calls.registry import families

HARMONY = families()["harmony"]
FORM = Reasoning("harmony")
PROMPT = "<|start|>assistant"
CALL = (
    "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
    '{"city": "Paris"}<|call|>'
)
THOUGHT = "<|channel|>analysis<|message|>I look.<|end|><|start|>assistant"
PARIS = (("get_weather", '{"city": "Paris"}'),)


def read(pieces, *, calls=True):
    """Thought, content, and calls of an answer that comes in these pieces."""
    sorter = splitter(FORM, PROMPT, calls=calls)
    parser = HARMONY.parser(TOOLS, "x")
    segments = [segment for piece in pieces for segment in sorter.push(piece)] + sorter.finish()
    thought = "".join(segment.text for segment in segments if segment.is_thought)
    given = [
        part for segment in segments if not segment.is_thought for part in parser.push(segment.text)
    ]
    answer = joined(given + parser.finish(), parser)
    return thought, answer.content, answer.calls


@pytest.mark.parametrize(
    ("text", "thought", "content", "calls"),
    [
        (CALL, "", "", PARIS),
        (THOUGHT + CALL, "I look.", "", PARIS),
        (THOUGHT + CALL.removesuffix("<|call|>"), "I look.", "", PARIS),
        # The receiver stands before the channel, as the form allows it too.
        (
            THOUGHT + " to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>"
            '{"city": "Paris"}<|call|>',
            "I look.",
            "",
            PARIS,
        ),
        (
            ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Paris"}',
            "",
            "",
            PARIS,
        ),
        (CALL.replace("commentary", "analysis"), "", "", PARIS),
        # What the user is told before a call is thought, as it is without tools.
        (
            "<|channel|>commentary<|message|>I look it up.<|end|><|start|>assistant" + CALL,
            "I look it up.",
            "",
            PARIS,
        ),
        ("<|channel|>final<|message|>Sunny.<|return|>", "", "Sunny.", ()),
        ("to be sure", "", "to be sure", ()),
        (" t", "", " t", ()),
        ("<|constrain|>to=functions.now", "", "to=functions.now", ()),
        # To somebody else than a function of ours.
        ("<|channel|>commentary to=python <|message|>1+1<|call|>", "1+1", "", ()),
        # Cut in the arguments.
        (CALL[:-10], "", "", (("get_weather", '{"city": "Paris"}'[:-2]),)),
    ],
)
def test_an_answer(text, thought, content, calls):
    assert read([text]) == (thought, content, calls)
    assert read(list(text)) == (thought, content, calls)


def test_without_tools_such_a_message_is_thought():
    assert read([CALL], calls=False) == ('{"city": "Paris"}', "", ())


PARTS = [*TAGS, CALL, THOUGHT, "commentary to=functions.", "analysis", "final", "now", "{}", " "]
PARTS += ["to=functions.now", "<|", "json", '{"city": "', "é", "assistant", "to"]


@given(st.lists(st.sampled_from(PARTS), max_size=8), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_however_it_is_cut(parts, data):
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    assert read(pieces) == read([text]) == read(list(text))
