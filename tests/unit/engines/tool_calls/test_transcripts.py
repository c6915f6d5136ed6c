"""What models write becomes content and calls, however it is cut."""

import json

import pytest

from tests.support.tool_transcripts import (
    CALLS,
    MARKS,
    TOOLS,
    TRANSCRIPTS,
    Transcript,
    arguments,
    read,
)
from workers.contract.tools import ToolChoice, Tools
from workers.engines.tool_calls.base import WrittenCall
from workers.engines.tool_calls.registry import families

FAMILIES = families()
#: Every family writes and reads each set of calls; an answer of gpt-oss has one.
WRITTEN = [
    pytest.param(family, calls, id=f"{name}: {what}")
    for name, family in FAMILIES.items()
    for what, calls in CALLS.items()
    if name != "harmony" or len(calls) == 1
]


def written(family, calls):
    return family.write(
        [WrittenCall(name, json.dumps(given, ensure_ascii=False)) for name, given in calls]
    )


def test_every_family_has_transcripts():
    assert {transcript.family for transcript in TRANSCRIPTS} == set(FAMILIES)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=str)
def test_a_transcript(transcript: Transcript):
    answer = read(FAMILIES[transcript.family], [transcript.text])
    assert answer.content == transcript.content
    if transcript.broken:
        assert answer.calls == transcript.calls
    else:
        assert arguments(answer.calls) == transcript.calls
    assert bool(answer.notes) == bool(transcript.note)
    assert any(transcript.note in note for note in answer.notes) or not transcript.note
    assert all(note.endswith(".") for note in answer.notes)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=str)
def test_a_transcript_in_pieces(transcript: Transcript):
    family, text = FAMILIES[transcript.family], transcript.text
    whole = read(family, [text])
    assert read(family, list(text)) == whole
    for cut in range(len(text)):
        assert read(family, [text[:cut], text[cut:]]) == whole


@pytest.mark.parametrize(("family", "calls"), WRITTEN)
def test_what_a_family_writes_it_reads(family, calls):
    text = written(family, calls)
    answer = read(family, list(text))
    assert answer == read(family, [text])
    assert arguments(answer.calls) == calls
    assert (answer.content, answer.notes) == ("", ())
    after_content = read(family, [f"So:\n{text}"])
    assert (after_content.content, after_content.calls) == ("So:", answer.calls)
    # The mark, or the text up to the name, just as the model wrote it.
    assert after_content.opened
    assert after_content.opened in text


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_ids_are_the_same_again_and_differ(family):
    text = written(family, (MARKS,)) + "\n" + written(family, CALLS["one call"])
    first, again = read(family, [text]), read(family, list(text))
    assert first.ids == again.ids
    assert len(set(first.ids)) == len(first.ids) == 2
    other = family.parser(TOOLS, "chatcmpl-2")
    given = other.push(text) + other.finish()
    assert not {part.id for part in given if not isinstance(part, str)} & set(first.ids)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_arguments_come_as_they_are_written(family):
    """A name once it is known, then each character of a text."""
    parser = family.parser(TOOLS, "x")
    seen = []
    for character in written(family, (("get_weather", {"city": "Königsberg"}),)):
        seen += [part for part in parser.push(character) if not isinstance(part, str)]
    assert seen[0].name == "get_weather"
    assert [part.arguments for part in seen if part.arguments in "Königsberg"][-10:] == list(
        "Königsberg"
    )


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_tool_that_may_not_be_called_is_none(family):
    tools = Tools(TOOLS.tools, ToolChoice.NAMED, "now")
    text = written(family, CALLS["one call"])
    answer = read(family, [text], tools)
    assert (answer.content, answer.calls) == (text, ())
    assert "'get_weather' is none of the tools" in answer.notes[0]
    assert answer.opened == ""
