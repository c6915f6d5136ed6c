"""The worker's own decisions, without a server: what goes first when something runs out."""

import errno
import selectors
import socket
import types

import pytest
from gunicorn.config import Config

from tests.support.metrics import scrape_of
from web.edge.worker import EdgeWorker
from web.live.draining import Draining
from workers.metrics.process_metrics import ProcessMetrics
from workers.settings import read


class Listener:
    """Has no connection, for a reason."""

    def __init__(self, code):
        self._code = code

    def accept(self):
        raise OSError(self._code, "out of something")

    def setblocking(self, _):
        """As a socket does."""


@pytest.fixture
def worker():
    settings = read({"INFERENCE_MAX_INCOMPLETE_CONNECTIONS": "2"}, env_file=None)
    log = types.SimpleNamespace(warning=print)
    made = EdgeWorker(0, 0, [], types.SimpleNamespace(settings=settings), 30, Config(), log)
    made.poller = selectors.DefaultSelector()
    made._body_limit = lambda request: 1000
    made._metrics = ProcessMetrics()
    made._draining = Draining(settings.grace_s)
    yield made
    for connection in [*made._incomplete, *made._lingering]:
        made._drop(connection)
    made.poller.close()
    made.tmp.close()
    assert made.nr_conns == 0


@pytest.fixture
def take_in(worker):
    clients = []

    def take_in(data):
        ours, theirs = socket.socketpair()
        clients.append(theirs)
        theirs.settimeout(5)
        theirs.sendall(data)
        worker.accept(
            types.SimpleNamespace(
                accept=lambda: (ours, ("127.0.0.1", 1)), getsockname=lambda: ("127.0.0.1", 2)
            )
        )
        return theirs

    yield take_in
    for client in clients:
        client.close()


def refused(worker, reason):
    """How often that was counted."""
    return scrape_of(worker._metrics).value("inference_refused_requests_total", reason=reason)


def test_the_oldest_goes_first(worker, take_in):
    oldest, _, newest = (take_in(b"GET / HTTP/1.1\r\nHo") for _ in range(3))
    assert oldest.recv(65536).startswith(b"HTTP/1.1 503 ")
    newest.setblocking(False)
    with pytest.raises(BlockingIOError):
        newest.recv(1)
    assert len(worker._incomplete) == 2
    assert refused(worker, "crowd") == 1


def test_a_body_that_does_not_come_is_refused_in_time(worker, take_in):
    client = take_in(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx")
    (connection,) = worker._incomplete
    connection.timeout = 0.0
    worker.murder_pending()
    assert client.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert refused(worker, "late_body") == 1


def test_a_client_that_leaves_is_forgotten(worker, take_in):
    take_in(b"GET").close()
    (connection,) = worker._incomplete
    worker._on_readable(connection, connection.sock)
    assert not worker._incomplete


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_where_files_run_out_the_oldest_makes_room(worker, take_in, code):
    take_in(b"GET")
    worker.accept(Listener(code))
    assert not worker._incomplete
    assert refused(worker, "exhausted") == 1


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN])
def test_what_is_wrong_with_one_connection_ends_no_server(worker, code):
    worker.accept(Listener(code))


def test_a_listener_that_is_gone_is_an_error(worker):
    with pytest.raises(OSError, match="out of something"):
        worker.accept(Listener(errno.EBADF))
