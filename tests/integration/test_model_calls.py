"""Calls on a model's worker, over a real server: what is answered, and what their callers learn."""

import contextlib
import json
import threading

import pytest

from tests.support.waiting import wait_for
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.contract.errors import (
    EngineFailed,
    Internal,
    NoWorker,
    TemporaryResource,
    ValidationFailed,
)
from workers.runtime.calls.server import ModelCallServer
from workers.store import model_calls
from workers.store.calls import MOST_WAITING, Calls
from workers.store.model_calls import SERVICE, ModelCalls

MODEL = "embeds"
WITHIN_S = 60


def refuse(_):
    raise ValidationFailed("no", details={"param": "text"})


def fail(_):
    raise ZeroDivisionError("a secret")


HANDLERS = {
    "double": lambda body: {"text": body["text"] * 2},
    "refuse": refuse,
    "fail": fail,
    "much": lambda _: {"text": "x" * model_calls.MOST_BYTES},
}


@pytest.fixture
def presence(redis):
    """A worker that says which calls it takes; a test that wants answers starts the server."""
    presence = Presence(redis, Worker("w", MODEL, 1, "h", concurrency=1))
    presence.loaded(1, 64)
    presence.takes_calls(HANDLERS)
    presence._beat()
    return presence


@pytest.fixture
def calls(redis):
    return ModelCalls(redis, Directory(redis, ttl_s=0))


@pytest.fixture
def server(redis, presence):
    server = ModelCallServer(redis, MODEL, HANDLERS)
    server.start()
    yield
    server.stop()


@pytest.mark.usefixtures("server")
def test_a_worker_answers_many_at_once(calls):
    answers = {}

    def ask(text):
        answers[text] = calls.call(MODEL, "double", {"text": text}, WITHIN_S)["text"]

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(10, 10 + MOST_WAITING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert answers == {text: text * 2 for text in map(str, range(10, 10 + MOST_WAITING))}


@pytest.mark.usefixtures("server")
def test_an_error_is_the_answer_and_tells_no_secret(calls):
    with pytest.raises(ValidationFailed) as refused:
        calls.call(MODEL, "refuse", {}, WITHIN_S)
    assert refused.value.details == {"param": "text"}
    with pytest.raises(Internal) as failed:
        calls.call(MODEL, "fail", {}, WITHIN_S)
    assert "secret" not in failed.value.message
    with pytest.raises(EngineFailed, match="bytes"):
        calls.call(MODEL, "much", {}, WITHIN_S)
    assert calls.call(MODEL, "double", {"text": "a"}, WITHIN_S) == {"text": "aa"}


def test_what_is_too_large_is_not_sent(calls, presence):
    with pytest.raises(ValidationFailed, match="4 MiB"):
        calls.call(MODEL, "double", {"text": "x" * model_calls.MOST_BYTES}, WITHIN_S)


def test_who_asks_for_what_nobody_takes_learns_so_at_once(calls, redis, presence):
    """No worker, one of the version before, and one that embeds nothing are alike."""
    with pytest.raises(NoWorker, match="takes such calls"):
        calls.call("other", "double", {}, WITHIN_S)
    with pytest.raises(NoWorker):
        calls.call(MODEL, "unheard", {}, WITHIN_S)
    before = json.loads(redis.get(keys.worker("w")))
    del before["calls"]
    redis.set(keys.worker("w"), json.dumps(before))
    with pytest.raises(NoWorker):
        calls.call(MODEL, "double", {}, WITHIN_S)


def test_a_worker_that_is_busy_is_not_waited_for_without_end(calls, redis, presence):
    with pytest.raises(TemporaryResource, match=r"within 0.05 s"):
        calls.call(MODEL, "double", {"text": "a"}, 0.05)
    assert redis.llen(keys.calls(MODEL)) == 0
    assert not list(redis.scan_iter(keys.call(SERVICE, "*")))


def test_a_call_that_has_expired_is_not_worked_on(redis):
    calls = Calls(redis, SERVICE)
    number = calls.send(keys.calls(MODEL), b"{}", 0.001)
    wait_for(lambda: calls.is_taken(number))
    assert calls.take([keys.calls(MODEL)], 1) is None


def test_who_asks_a_worker_that_dies_learns_so(calls, redis, presence):
    def die():
        wait_for(lambda: Calls(redis, SERVICE).take([keys.calls(MODEL)], 1), WITHIN_S)
        redis.delete(keys.worker("w"))

    thread = threading.Thread(target=die)
    thread.start()
    with pytest.raises(NoWorker, match="has ended"):
        calls.call(MODEL, "double", {"text": "a"}, 25)
    thread.join(WITHIN_S)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b'{"result": [1]}',
        b'{"error": "no"}',
        b'{"error": {"code": 1, "message": "no", "details": {}}}',
        b'{"error": {"code": "NO_WORKER", "message": "no", "details": "no"}}',
        b'{"result": {"a": "' + b"x" * model_calls.MOST_BYTES + b'"}}',
    ],
    ids=lambda reply: repr(reply[:40]),
)
def test_an_answer_that_is_none_is_an_error(calls, redis, presence, reply):
    other = Calls(redis, SERVICE)

    def answer():
        number, _ = wait_for(lambda: other.take([keys.calls(MODEL)], 1), WITHIN_S)
        other.reply(number, reply)

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(EngineFailed, match="cannot be read"):
        calls.call(MODEL, "double", {"text": "a"}, 25)
    thread.join(WITHIN_S)


@pytest.mark.usefixtures("server")
def test_more_calls_than_may_wait_are_refused(calls):
    with contextlib.ExitStack() as held:
        for _ in range(MOST_WAITING):
            held.enter_context(calls._calls.permit())
        with pytest.raises(TemporaryResource, match="already"):
            calls.call(MODEL, "double", {"text": "a"}, WITHIN_S)
    assert calls.call(MODEL, "double", {"text": "a"}, WITHIN_S) == {"text": "aa"}


@pytest.mark.usefixtures("presence")
def test_what_is_no_call_is_refused_and_the_next_is_answered(calls, redis):
    for raw in (b"", b"[]", b'{"name": "double"}', b'{"name": ["double"], "body": {}}'):
        Calls(redis, SERVICE).send(keys.calls(MODEL), raw, WITHIN_S)
    server = ModelCallServer(redis, MODEL, HANDLERS)
    server.start()
    try:
        assert calls.call(MODEL, "double", {"text": "a"}, 25) == {"text": "aa"}
    finally:
        server.stop()
