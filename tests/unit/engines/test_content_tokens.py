"""Which tokens are content: those whose text is shown, whatever holds it back or takes it out."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from presets.model import Reasoning
from workers.contract.sampling import Sampling
from workers.engines.reasoning import splitter
from workers.engines.text import TextAssembler

TAGS = Reasoning("tags", "<think>", "</think>")


def told(pieces, *, form=None, prompt="", produced=0, cut=False, **sampling):
    """The text after `produced` pieces, and the places of tokens that are told with it."""
    assembler = TextAssembler.of(Sampling(logprobs=0, **sampling), splitter(form, prompt))
    for piece in pieces[:produced]:
        assembler.push(piece)
    shown = [assembler.push(piece) for piece in pieces[produced:]]
    shown.append(assembler.finish(cut=cut))
    text = "".join(each.text for each in shown)
    return text, [place for each in shown for place in each.content_tokens]


def test_every_token_of_a_plain_answer_is_content_and_silent_ones_are_not():
    assert told([b"a ", b"", b"b", b"c"]) == ("a bc", [0, 2, 3])


def test_the_tokens_of_a_character_are_told_with_it():
    pieces = [b"x", *(bytes((byte,)) for byte in "🙂".encode()), b"y"]
    assert told(pieces) == ("x🙂y", [0, 1, 2, 3, 4, 5])
    assert told(pieces[:3], cut=True) == ("x", [0])


def test_bytes_that_never_become_a_character_are_content_too():
    assert told([b"a", b"\xf0", b"b"]) == ("a\ufffdb", [0, 1, 2])
    assert told([b"a", b"\xf0"]) == ("a\ufffd", [0, 1])


def test_a_stop_string_is_no_content_where_it_begins_inside_a_token_that_is():
    assert told([b"one", b" tw", b"o", b" three"], stop=("wo",)) == ("one t", [0, 1])
    assert told([b"one", b" ", b"two"], stop=("two",)) == ("one ", [0, 1])
    assert told([b"one", b" tw", b"o"], stop=("wo",), include_stop_str_in_output=True) == (
        "one two",
        [0, 1, 2],
    )


def test_what_was_held_back_is_told_when_it_is_shown():
    assert told([b"a", b"a", b"a", b"x"], stop=("aab",)) == ("aaax", [0, 1, 2, 3])
    assert told([b"a", b"a"], stop=("aab",)) == ("aa", [0, 1])


def test_thoughts_and_tags_are_no_content_though_they_say_the_same():
    pieces = [b"<think>", b"4", b" or ", b"4", b"</think>", b"\n", b"4", b" or", b" 4"]
    assert told(pieces, form=TAGS) == ("4 or 4", [6, 7, 8])
    assert told(pieces[1:], form=TAGS, prompt="<think>") == ("4 or 4", [5, 6, 7])


def test_a_token_that_ends_a_thought_and_begins_the_content_is_content():
    assert told([b"<think>so", b"</think>4", b"2"], form=TAGS) == ("42", [1, 2])


def test_white_space_before_a_tag_that_never_came_is_content():
    assert told([b" ", b"<th", b"e>"], form=TAGS) == (" <the>", [0, 1, 2])


@given(
    st.text("ab<think>/ é€", max_size=30),
    st.lists(st.integers(0, 60), max_size=12),
    st.lists(st.text("abé€", min_size=1, max_size=4), max_size=2),
    st.data(),
)
def test_the_tokens_that_are_told_are_the_same_after_a_crash(text, cuts, stop, data):
    raw = f"<think>a b</think>{text}".encode()
    borders = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[begin:end] for begin, end in itertools.pairwise(borders)]
    whole, places = told(pieces, form=TAGS, stop=tuple(stop))
    assert places == sorted(set(places))
    produced = data.draw(st.integers(0, len(pieces)))
    rest, later = told(pieces, form=TAGS, stop=tuple(stop), produced=produced)
    assert whole.endswith(rest)
    assert places[len(places) - len(later) :] == later
    # Each token that is told has a part in the text, and they are enough for it.
    assert all(pieces[place] for place in places)
    # One that ends a tag and begins a character is not told: the character comes with the next.
    if all(border in whole_characters(raw) for border in borders):
        joined = b"".join(pieces[place] for place in places).decode()
        assert whole in joined


def whole_characters(raw):
    """Where a text may be cut between two characters."""
    return {len(raw.decode()[:count].encode()) for count in range(len(raw.decode()) + 1)}


def test_a_thought_is_known_to_be_none_at_once():
    assembler = TextAssembler.of(Sampling(logprobs=0), splitter(TAGS, "<think>"))
    assembler.push(b"so ")
    assert not assembler.may_be_content
    assembler.push(b"</think>")
    assembler.push(b"4")
    assert assembler.may_be_content
