"""Bounds of a body: held before it is parsed, at the first excess."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.schemas.body import parse_object
from web.schemas.bounds import SMALL, Bounds, bounded, check, of_view
from workers.contract.errors import MalformedJSON, PayloadTooLarge, ValidationFailed

BOUNDS = Bounds(nodes=20, depth=4, string_bytes=50)


@pytest.fixture
def benchmark_s():
    """Seconds of this process' own time since the test began: others may have the processors."""
    begun = time.process_time()
    return lambda: time.process_time() - begun


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def nodes_of(value):
    """Values and names of members, counted on what was parsed."""
    if isinstance(value, dict):
        return 1 + sum(1 + nodes_of(item) for item in value.values())
    return 1 + (sum(map(nodes_of, value)) if isinstance(value, list) else 0)


@given(values, st.sampled_from([None, 1]))
def test_the_count_is_that_of_the_parsed_value(value, indent):
    raw = json.dumps(value, indent=indent).encode()
    count = nodes_of(value)
    check(raw, Bounds(nodes=count))
    with pytest.raises(PayloadTooLarge):
        check(raw, Bounds(nodes=count - 1))


def test_tags_inside_strings_are_text():
    check(json.dumps({"a": '[[[[[{"x": 1, 2}]\\" \\'}).encode(), BOUNDS)


@pytest.mark.parametrize(
    ("raw", "error", "message"),
    [
        (b'{"a": [' + b"0," * 20 + b"0]}", PayloadTooLarge, "20 values"),
        (b'{"a": [' + b'"",' * 20 + b"0]}", PayloadTooLarge, "20 values"),
        (b"[" * 5, MalformedJSON, "4 levels"),
        (b'{"a":' * 5, MalformedJSON, "4 levels"),
        (b'{"a": "' + b"x" * 51 + b'"}', PayloadTooLarge, "50 bytes"),
        (b'{"a": "x', MalformedJSON, "does not end"),
        (b'{"a": "x\\"', MalformedJSON, "does not end"),
        (b'{"a": ' + b"9" * 5000 + b"}", ValidationFailed, "128 characters"),
        (b'{"a": -0.' + b"0" * 5000 + b"}", ValidationFailed, "128 characters"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', MalformedJSON, "'c' stands twice"),
    ],
)
def test_an_excess_is_named(raw, error, message):
    with pytest.raises(error) as refused:
        parse_object(raw, BOUNDS)
    assert message in refused.value.message


@pytest.mark.parametrize(
    "raw",
    [
        b'{"messages":[' + b"0," * 8_000_000 + b"0]}",
        b'{"messages":[' + b'"",' * 5_000_000 + b"0]}",
        b'{"a":"' + b'\\"' * 8_000_000,
        b"\x00" * 16_000_000,
        b"[" * 16_000_000,
        b'{"a":1' + b"]" * 16_000_000,
        b"{" + b",".join(b'"n%05d":1' % number for number in range(49_000)) + b',"n48999":1}',
        b'{"a":"' + b"\\u00e9" * 2_000_000 + b'"}',
    ],
    ids=["zeros", "strings", "quotes", "nothing", "depth", "closed", "twice", "escapes"],
)
def test_the_largest_bodies_are_refused_in_a_moment(raw, benchmark_s):
    with pytest.raises((PayloadTooLarge, MalformedJSON)):
        parse_object(raw, Bounds())
    assert benchmark_s() < 1


def test_a_view_that_declares_nothing_takes_little():
    @bounded(BOUNDS)
    def large():
        """A view."""

    assert of_view(large) == BOUNDS
    assert of_view(None) == of_view(lambda: None) == SMALL
