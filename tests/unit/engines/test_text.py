"""Text assembly: the split of bytes over tokens never shows."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presets.model import Reasoning
from tests.support.tools import CALL, offered
from workers.contract.sampling import Sampling
from workers.engines.answer_form import AnswerForm, Calls
from workers.engines.reasoning import splitter
from workers.engines.text import Shown, TextAssembler
from workers.engines.tool_calls import registry


def assemble(pieces, stop=()):
    """Every shown part, the last from `finish`, and whether a stop string was met."""
    assembler = TextAssembler(stop)
    shown = [assembler.push(piece).text for piece in pieces]
    return [*shown, assembler.finish().text], assembler.stopped


@st.composite
def split_bytes(draw, alphabet=None):
    """A text and its bytes, cut anywhere."""
    text = draw(st.text(max_size=40) if alphabet is None else st.text(alphabet, max_size=40))
    raw = text.encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    borders = [0, *cuts, len(raw)]
    return text, [raw[a:b] for a, b in itertools.pairwise(borders)]


def reference(text, stop):
    """What is left of a text: the first stop string to be complete ends it."""
    for end in range(1, len(text) + 1):
        starts = [end - len(text_) for text_ in stop if text_ and text[:end].endswith(text_)]
        if starts:
            return text[: min(starts)], True
    return text, False


@given(split_bytes())
def test_any_split_of_the_bytes_gives_the_same_text(split):
    text, pieces = split
    shown, stopped = assemble(pieces)
    assert "".join(shown) == text
    assert not stopped


@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=8))
def test_bytes_that_are_no_utf8_are_replaced_wherever_they_are_cut(raw, cuts):
    borders = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in itertools.pairwise(borders)]
    assert "".join(assemble(pieces)[0]) == raw.decode(errors="replace")


@given(
    split_bytes("abé€"),
    st.lists(st.text(alphabet="abé€", min_size=1, max_size=5), max_size=3),
)
def test_stop_strings_are_found_over_any_border(split, stop):
    text, pieces = split
    shown, stopped = assemble(pieces, stop)
    assert ("".join(shown), stopped) == reference(text, stop)


@given(
    split_bytes("ab"),
    st.lists(st.text(alphabet="ab", min_size=1, max_size=5), min_size=1, max_size=3),
)
def test_nothing_is_held_back_that_cannot_become_a_stop_string(split, stop):
    _, pieces = split
    assembler = TextAssembler(stop)
    pushed, shown = "", ""
    for piece in pieces:
        pushed += piece.decode()
        shown += assembler.push(piece).text
        if assembler.stopped:
            break
        held = pushed[len(shown) :]
        assert held == "" or any(text_.startswith(held) and text_ != held for text_ in stop)


@pytest.mark.parametrize(
    ("pieces", "stop", "text"),
    [
        (["one END two"], ["END"], "one "),
        (["one E", "N", "D two"], ["END"], "one "),
        (["aab"], ["ab"], "a"),
        (["a", "a", "b"], ["aab"], ""),
        (["xabcd"], ["abcde", "bc"], "xa"),
        (["xabc"], ["bc", "abc"], "x"),
        (["END"], ["END"], ""),
        (["E", "N", "X"], ["END"], "ENX"),
    ],
)
def test_which_stop_string_wins(pieces, stop, text):
    shown, _ = assemble([piece.encode() for piece in pieces], stop)
    assert "".join(shown) == text


def test_a_possible_stop_string_is_held_until_it_is_none():
    assembler = TextAssembler(["STOP"])
    assert assembler.push(b"go ST").text == "go "
    assert assembler.push(b"O").text == ""
    assert assembler.push(b"RM").text == "STORM"
    assert not assembler.stopped


def test_held_text_comes_with_the_end():
    assembler = TextAssembler(["STOP"])
    assert assembler.push(b"go STO").text == "go "
    assert assembler.finish().text == "STO"


def test_after_a_stop_string_nothing_comes():
    assembler = TextAssembler(["."])
    assert assembler.push(b"One. Two").text == "One"
    assert assembler.stopped
    assert assembler.push(b"more").text == ""
    assert assembler.finish().text == ""


def test_an_incomplete_character_is_replaced_at_the_end():
    assembler = TextAssembler()
    assert assembler.push("é".encode()[:1]).text == ""
    assert assembler.finish().text == "\ufffd"


def test_an_empty_stop_string_stops_nothing():
    assert assemble([b"text"], [""]) == (["text", ""], False)


THINK = Reasoning("tags", "<think>", "</think>")


def thinking(stop=(), prompt=""):
    return TextAssembler(stop, splitter(THINK, prompt))


def test_a_stop_string_in_a_thought_stops_nothing():
    assembler = thinking(["."])
    assert assembler.push(b"<think>One. Two.</think>Three. Four") == Shown("Three", "One. Two.")
    assert assembler.stopped


def test_a_stop_string_is_not_made_of_a_thought_and_content():
    assembler = thinking(["ab"])
    assert assembler.push(b"<think>a</think>b") == Shown("b", "a")
    assert not assembler.stopped


def test_tokens_of_a_thought_are_counted_with_its_tags():
    assembler = thinking()
    counts = []
    for piece in (b"<think>", b"\n", b"one ", b"\xc3", b"\xa9", b"</", b"think>", b"\n\n", b"two"):
        assembler.push(piece)
        counts.append(assembler.reasoning_tokens)
    assert counts == [1, 2, 3, 4, 5, 6, 7, 7, 7]


def test_a_thought_whole_in_one_token_is_counted():
    assembler = thinking()
    assert assembler.push(b"<think>so</think>yes") == Shown("yes", "so")
    assert assembler.reasoning_tokens == 1


def test_held_text_comes_with_the_end_as_what_it_is():
    assembler = thinking(["STOP"], "<think>\n")
    assert assembler.push(b"so </thi") == Shown("", "so")
    assert assembler.finish() == Shown("", " </thi")
    assembler = thinking(["STOP"], "<think>\n")
    assert assembler.push(b"so</think>go STO") == Shown("go ", "so")
    assert assembler.finish() == Shown("STO", "")


@given(split_bytes("abé<think>/ \n"), st.lists(st.text("ab<", min_size=1, max_size=3), max_size=2))
def test_pushing_the_pieces_again_gives_the_same_state(split, stop):
    """As a generation does that goes on elsewhere: what was shown and what comes add up."""
    _, pieces = split
    whole = thinking(stop, "<think>")
    parts = [whole.push(piece) for piece in pieces]
    last = whole.finish()
    for cut in range(len(pieces) + 1):
        again = thinking(stop, "<think>")
        for piece in pieces[:cut]:
            again.push(piece)
        assert [again.push(piece) for piece in pieces[cut:]] == parts[cut:]
        assert again.finish() == last
        assert again.reasoning_tokens == whole.reasoning_tokens


@given(split_bytes("abé€🙂"), st.integers(1, 3))
def test_a_cut_inside_a_character_leaves_no_part_of_it(split, left_out):
    text, _ = split
    raw = text.encode()[:-left_out]
    assembler = TextAssembler()
    shown = assembler.push(raw).text + assembler.finish(cut=True).text
    assert shown == raw.decode(errors="ignore")
    assert text.startswith(shown)


def test_a_cut_keeps_what_was_held_for_a_stop_string():
    assembler = TextAssembler(["STOP"])
    assert assembler.push("go ST🙂".encode()[:-1]).text == "go "
    assert assembler.finish(cut=True).text == "ST"


def test_before_so_many_tokens_nothing_ends_the_answer():
    assembler = TextAssembler(("b",), min_tokens=2)
    shown = [assembler.push(piece).text for piece in (b"ab", b"b", b"a", b"b")]
    assert (shown, assembler.stopped) == (["ab", "b", "a", ""], True)


def test_a_stop_string_is_shown_where_it_is_asked_for():
    assembler = TextAssembler(("wo t", "three"), shows_stop=True)
    shown = [assembler.push(piece).text for piece in (b"one tw", b"o th", b"ree")]
    assert ("".join(shown), assembler.stopped) == ("one two t", True)


ANSWER = f"Stop, “{CALL}”? No: \n<tool_call>\n{CALL}\n</tool_call>"


def assembled(pieces, stop=()):
    """What is shown of an answer in pieces, and the assembler that showed it."""
    made = AnswerForm(calls=Calls(registry.families()["hermes"], offered(), "id")).assembler(
        Sampling(stop=stop)
    )
    shown = Shown()
    for piece in pieces:
        shown += made.push(piece)
    return shown + made.finish(), made


@settings(deadline=None)  # the first one imports the families
@given(st.lists(st.integers(0, len(ANSWER.encode())), max_size=12))
def test_calls_are_told_apart_however_the_bytes_are_cut(cuts):
    borders = [0, *sorted(cuts), len(ANSWER.encode())]
    shown, made = assembled([ANSWER.encode()[a:b] for a, b in itertools.pairwise(borders)])
    assert shown.text == ANSWER.partition("\n<")[0].rstrip()
    assert "".join(part.arguments for part in shown.calls) == CALL[CALL.index(': {"') + 2 : -1]
    assert [part.name for part in shown.calls if part.name] == ["get_weather"]
    assert made.finish_reason("stop") == "tool_calls"
    assert made.finish_reason("length") == "length"


def test_stop_strings_are_not_looked_for_in_calls():
    shown, made = assembled([byte.to_bytes() for byte in ANSWER.encode()], ("Köln", "celsius"))
    assert (shown.text, made.stopped) == ("Stop, “" + CALL.partition("Köln")[0], True)
    assert shown.calls == ()
    quiet = ANSWER.partition("\n")[2].encode()
    shown, made = assembled([byte.to_bytes() for byte in quiet], ("Köln", "}\n</", ","))
    assert not made.stopped
    assert shown.text == ""
    assert "Köln, 三" in "".join(part.arguments for part in shown.calls)


def test_text_that_could_begin_a_stop_string_stands_before_the_call_that_follows_it():
    made = AnswerForm(calls=Calls(registry.families()["hermes"], offered(), "id")).assembler(
        Sampling(stop=("abc",))
    )
    pieces = [made.push(raw) for raw in (b"x ab", f"<tool_call>{CALL}".encode(), b"</tool_call>")]
    assert "".join(piece.text for piece in pieces[:2]) == "x ab"
    assert pieces[1].calls
    assert not made.stopped


def test_what_opens_like_a_call_and_is_none_is_text_with_a_note():
    text = 'See <tool_call>{"name": "nobody", "arguments": {}}</tool_call>.'
    shown, made = assembled([text.encode()])
    assert (shown.text, shown.calls) == (text, ())
    assert made.finish_reason("stop") == "stop"
    assert any("nobody" in note for note in made.notes)
