"""Requests on their way in: however they are cut, they end in the same way."""

import itertools

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine
from hypothesis import given, settings
from hypothesis import strategies as st

from web.edge.body import Body, BytesInFlight
from web.edge.chunked import ChunkedDecoder, WrongChunk
from web.edge.incoming import MOST_DISCARDED_BYTES, MOST_HEAD_BYTES, Incoming, Phase

LIMIT = 1000
LENGTH = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"
)
NEXT = b"GET /b HTTP/1.1\r\n"


def incoming(limit=LIMIT, in_flight=None, make_room=lambda: False):
    body = Body(in_flight or BytesInFlight(10 * LIMIT), make_room)
    return Incoming(Config(), ("127.0.0.1", 1), 1, lambda request: limit, body)


def cut(data, at):
    """The bytes in pieces that end at these places."""
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


def with_length(length, content=b""):
    return b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % length + content


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from([LENGTH, CHUNKED]), st.lists(st.integers(0, 10_000), max_size=20))
def test_a_request_is_whole_at_its_last_byte(request_, at):
    request_in = incoming()
    for piece in cut(request_[:-1], at):
        request_in.feed(piece)
        assert request_in.phase is not Phase.WHOLE
    request_in.feed(request_[-1:] + NEXT)
    assert request_in.phase is Phase.WHOLE
    assert (request_in.request.method, request_in.request.path) == ("POST", "/a")
    assert request_in.request.body.read() == b"hello"
    assert request_in.rest() == NEXT


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=3000), st.lists(st.integers(1, 400), max_size=8), st.lists(st.integers()))
def test_chunks_are_decoded_however_they_are_cut(content, sizes, at):
    raw, left = b"", content
    for size in [*sizes, len(content)]:
        if piece := left[:size]:
            raw += b"%x\r\n%s\r\n" % (len(piece), piece)
            left = left[size:]
    decoder = ChunkedDecoder()
    pieces = cut(raw + b"0\r\n\r\nrest", at)
    assert b"".join(decoder.feed(piece) for piece in pieces) == content
    assert decoder.ended
    assert decoder.rest() == b"rest"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"zz\r\n", "hexadecimal"),
        (b"\r\n", "hexadecimal"),
        (b"-1\r\n", "hexadecimal"),
        (b"ffffffffffffffffffff\r\n", "hexadecimal"),
        (b"1\r\nab\r\n", "longer than its size"),
        (b"1;" + b"a" * 2000, "1024 bytes"),
        (b"0\r\n" + b"a: b\r\n" * 3000, "trailers"),
        (b"1\r\na\r\n" * 70_000, "65536 chunks"),
    ],
)
def test_a_wrong_chunk_is_refused(raw, message):
    with pytest.raises(WrongChunk, match=message):
        ChunkedDecoder().feed(raw)


def test_a_request_without_a_body_is_whole_with_its_head():
    request_in = incoming()
    request_in.feed(b"\r\nGET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n" + NEXT)
    assert request_in.phase is Phase.WHOLE
    assert request_in.request.query == "b=c"
    assert request_in.rest() == NEXT


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", LimitRequestLine),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 9000 + b"\r\n\r\n", LimitRequestHeaders),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MOST_HEAD_BYTES // 6), LimitRequestHeaders),
        (b"a" * (MOST_HEAD_BYTES + 1), LimitRequestHeaders),
        (b"GET / HTTP/1.1\nHost: x\n\n", InvalidHeader),
        (with_length(1).replace(b"1\r\n\r\n", b"1\r\nContent-Length: 2\r\n\r\n"), InvalidHeader),
    ],
)
def test_a_wrong_head_is_refused(raw, error):
    with pytest.raises(error):
        incoming().feed(raw)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_thrown_away_and_refused_at_its_end(chunked):
    content = bytes(LIMIT + 1)
    raw = with_length(len(content), content)
    if chunked:
        raw = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        raw += b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
    in_flight = BytesInFlight(10 * LIMIT)
    request_in = incoming(in_flight=in_flight)
    request_in.feed(raw[:-1])
    assert request_in.phase is not Phase.WHOLE
    request_in.feed(raw[-1:] + NEXT)
    assert request_in.phase is Phase.WHOLE
    assert request_in.body.refusal.code == "PAYLOAD_TOO_LARGE"
    assert request_in.body.refusal.details == {"bound": "bytes", "limit": LIMIT}
    assert request_in.request.body.read() == b""
    assert not request_in.request.should_close()
    assert request_in.rest() == NEXT
    assert in_flight.take(10 * LIMIT)  # nothing is held


def test_what_is_thrown_away_is_bounded_too():
    request_in = incoming()
    request_in.feed(with_length(10 * MOST_DISCARDED_BYTES))
    piece = bytes(MOST_DISCARDED_BYTES // 4)
    for _ in range(4):
        request_in.feed(piece)
        assert request_in.phase is Phase.DISCARDING
    request_in.feed(b"x")
    assert request_in.phase is Phase.WHOLE
    assert request_in.request.should_close()


def test_who_asks_before_it_sends_is_answered_before():
    request_in = incoming()
    head = with_length(LIMIT + 1).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    request_in.feed(head)
    assert request_in.phase is Phase.WHOLE
    assert request_in.body.refusal.code == "PAYLOAD_TOO_LARGE"
    assert request_in.request.should_close()


def test_bodies_share_their_room_and_give_it_back():
    in_flight = BytesInFlight(LIMIT)
    first, second = incoming(in_flight=in_flight), incoming(in_flight=in_flight)
    first.feed(with_length(LIMIT, bytes(LIMIT)))
    assert first.phase is Phase.WHOLE
    second.feed(with_length(2, b"a"))
    assert second.phase is Phase.DISCARDING
    assert second.body.refusal.code == "TEMPORARY_RESOURCE"
    second.feed(b"b")
    assert second.phase is Phase.WHOLE
    assert first.request.body.read() == bytes(LIMIT)
    first.body.release()
    first.body.release()
    assert in_flight.take(LIMIT)
    assert not in_flight.take(1)


def test_an_older_body_makes_room():
    in_flight = BytesInFlight(LIMIT)
    older = incoming(in_flight=in_flight)
    older.feed(with_length(LIMIT, bytes(LIMIT - 1)))

    def make_room():
        older.refuse_for_room()
        return True

    newer = incoming(in_flight=in_flight, make_room=make_room)
    newer.feed(with_length(10, bytes(10)))
    assert (older.phase, newer.phase) == (Phase.DISCARDING, Phase.WHOLE)
    assert newer.body.refusal is None
