"""What reading costs grows with the length, whatever the text; what is held has a bound."""

import time

import pytest

from tests.support.tool_transcripts import TOOLS
from workers.engines.tool_calls.base import WrittenCall
from workers.engines.tool_calls.parser import MOST_HELD
from workers.engines.tool_calls.registry import families

FAMILIES = families()
PIECE = 64
SHORT, LONG = 1_000, 6_000


def nasty(family):
    """Beginnings, and what is repeated after each."""
    call = family.write([WrittenCall("get_weather", '{"city": "zz"}')])
    in_arguments, in_name = call[: call.index("zz")], call[: call.index("get_") + 2]
    mark = (family.marks or ("{",))[0]
    return [
        ("", mark),
        ("", "\n["),
        ("", " "),
        (in_arguments, "[" if family.name == "qwen3-coder" else '", "a": {"b": "'),
        (in_arguments, "\\"),
        (in_name, mark),
        (f"{call}\n", f"{mark}\n"),
    ]


def cost_s(family, text):
    """The least of some measurements: others have the machine, too."""
    least = float("inf")
    for _ in range(2):
        parser = family.parser(TOOLS, "x")
        began_s = time.thread_time()
        for begin in range(0, len(text), PIECE):
            parser.push(text[begin : begin + PIECE])
        parser.finish()
        least = min(least, time.thread_time() - began_s)
    return least


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_the_cost_grows_with_the_length(family):
    for begin, repeated in nasty(family):
        short, long = (
            cost_s(family, begin + repeated * (length // len(repeated))) for length in (SHORT, LONG)
        )
        # Six times as long: a square would be 36 times as much.
        assert long < 18 * max(short, 0.0005), (begin, repeated)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_what_is_held_has_a_bound(family):
    """What opened like a call and goes on without a name is content in the end."""
    parser = family.parser(TOOLS, "x")
    opening = family.write([WrittenCall("get_weather", "{}")])
    opening = opening[: opening.index("get_weather")]
    given = parser.push(opening + "x" * (2 * MOST_HELD)) + parser.push("y")
    assert all(isinstance(piece, str) for piece in given)
    assert len("".join(given)) > MOST_HELD
