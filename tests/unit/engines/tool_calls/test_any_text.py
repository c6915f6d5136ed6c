"""Whatever a model writes: nothing raises, nothing is lost, and how it is cut changes nothing."""

import itertools
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.tool_transcripts import TRANSCRIPTS, read
from workers.engines.tool_calls.registry import families

FAMILIES = families()
#: Words that are in no form; each must come out again.
WORDS = re.compile(r"[ωδλ]+")
PARTS = [
    *(mark for family in FAMILIES.values() for mark in family.marks),
    *("<function=", "</function>", "<parameter=", "</parameter>", ">", "city", "days", "now"),
    *("functools[", "get_weather", "```json\n", "```", "```python", "\n", " ", "\n\n", ";", ","),
    *(
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        '"',
        "'",
        "\\",
        ":",
        "=",
        "-1",
        "2.5",
        "True",
        "null",
        "\\u00e4",
    ),
    *(
        '{"name": "now"',
        '"arguments": {',
        '"parameters": ',
        '"city": "',
        '{"name": "f"',
        "functions.",
    ),
    *("[now(", "[get_weather(city=", "<function=now>", "<parameter=city>\n", "\n</parameter>\n"),
    *("ω", "δ", "λω", "é🙂", "\u2028", "\x00"),
]


#: Beginnings of transcripts, which are calls more often than parts at random.
BEGINNINGS = [
    each.text[: len(each.text) * part // 8] for each in TRANSCRIPTS for part in range(4, 9)
]


@st.composite
def cut_text(draw):
    """A text of such parts, and it again in pieces."""
    begin = draw(st.sampled_from(["", *BEGINNINGS]))
    text = begin + "".join(draw(st.lists(st.sampled_from(PARTS), max_size=12)))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return text, [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
@given(cut=cut_text())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text(family, cut):
    text, pieces = cut
    answer = read(family, pieces)
    assert answer == read(family, [text]) == read(family, list(text))
    if not answer.calls:
        assert answer.content == text
        assert answer.opened == ""
    if not answer.notes:
        given_out = answer.content + "".join(map("".join, answer.calls))
        assert sorted(WORDS.findall(text)) == sorted(WORDS.findall(given_out))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_content_without_a_call_comes_at_once(family):
    """Only white space and what could begin a mark are held."""
    parser = family.parser(read.__defaults__[0], "x")
    assert parser.push("Two words") == ["Two words"]
    assert parser.push(" ") == []
    assert parser.push("more") == [" more"]
    assert parser.finish() == []
