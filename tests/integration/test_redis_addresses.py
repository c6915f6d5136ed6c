"""Every kind of address, at servers that are really started: three libraries, one place."""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from tests.support.front_end import free_port
from tests.support.redis_addresses import ADDRESSES, LOGIN, address, servers
from tests.support.stored_job import stored_job
from tests.support.valkey import Sentinel, Valkey
from tests.support.waiting import wait_for
from web.cli.flower_queues import FlowerQueues
from workers import broker
from workers.app import make_app, model_queue, queue
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.loading import snapshot
from workers.settings import read
from workers.store import connections, redis_memory
from workers.store.redis_memory import RedisMemory

QUEUE = model_queue("m")


@pytest.fixture(scope="module")
def started():
    with servers() as started:
        yield started


def settings(url):
    return read({"INFERENCE_REDIS_URL": url}, env_file=None)


def send(app):
    """Put one message on the queue, the most urgent rank."""
    with app.connection_for_write() as connection:
        app.amqp.Producer(connection).publish(
            {}, routing_key=QUEUE, declare=[queue(QUEUE)], priority=0
        )


@pytest.mark.parametrize("kind", ADDRESSES)
def test_clients_queues_and_results_are_in_one_database(kind, started):
    url, database = address(started, kind)
    with started.server.client() as whole:
        whole.flushall()
    app = make_app(settings(url))
    with contextlib.closing(connections.client(settings(url))) as client:
        client.set("ours", "1")
    send(app)
    broker.expect_members(app, "group", 3)
    with started.server.client(database) as there:
        assert there.get("ours") == b"1"
        assert there.llen(QUEUE) == 1
        assert there.get(app.backend.get_key_for_group("group", ".s")) == b"3"
    with started.server.client() as whole:
        assert set(whole.info("keyspace")) == {f"db{database}"}
    app.close()


@pytest.mark.parametrize("kind", ADDRESSES)
def test_flower_counts_the_queues_of_that_database(kind, started):
    url, _ = address(started, kind)
    with started.server.client() as whole:
        whole.flushall()
    app = make_app(settings(url))
    send(app)
    app.close()
    with contextlib.closing(connections.client(settings(url))) as client:
        client.sadd(keys.MODELS, "m")
        counted = asyncio.run(FlowerQueues(client).queues())
    assert counted == [{"name": QUEUE, "messages": 1}, {"name": "orchestration", "messages": 0}]


def test_a_server_that_cannot_prove_who_it_is_is_refused(started):
    url = f"rediss://{LOGIN}@localhost:{started.tls_port}/5"
    with (
        contextlib.closing(connections.client(settings(url))) as client,
        pytest.raises(RedisError, match="certificate verify failed"),
    ):
        client.ping()


def test_with_tls_through_sentinel_nothing_goes_plain(started):
    front = started.named_by_sentinel
    wait_for(lambda: front.taken["plain"] >= 2)  # the sentinel's own two
    before = dict(front.taken)
    chosen = settings(address(started, "sentinel, tls")[0])
    app = make_app(chosen)
    with contextlib.closing(connections.client(chosen)) as client:
        client.ping()
    send(app)
    broker.expect_members(app, "group", 3)
    app.close()
    assert front.taken["tls"] >= before["tls"] + 3
    assert front.taken["plain"] == before["plain"]


def test_a_sentinel_that_wants_a_login_is_asked_with_it(started):
    url, _ = address(started, "sentinel with a login of its own")
    without = settings(url.replace("&sentinel_username=watcher", ""))
    with (
        contextlib.closing(connections.client(without)) as client,
        pytest.raises(RedisError, match="No master found"),
    ):
        client.ping()


def test_a_wrong_password_is_said(started):
    url = f"redis://me:wrong@127.0.0.1:{started.port}/1"
    with (
        contextlib.closing(connections.client(settings(url))) as client,
        pytest.raises(RedisError, match="invalid username-password"),
    ):
        client.ping()


def test_a_missing_password_is_said(started):
    with (
        contextlib.closing(
            connections.client(settings(f"redis://127.0.0.1:{started.port}/1"))
        ) as client,
        pytest.raises(RedisError, match="authenticated"),
    ):
        client.ping()


def test_a_server_that_keeps_its_settings_to_itself_will_do(caplog):
    """A managed one: CONFIG, and what else changes the server, is nobody's."""
    closed = ("user default on nopass ~* &* +@all -@dangerous +info",)
    directory = Path(tempfile.mkdtemp(prefix="is-"))
    with Valkey(directory, configuration=closed) as server:
        client = connections.client(settings(server.url))
        with pytest.raises(RedisError, match="no permissions"):
            client.config_get("maxmemory")
        redis_memory.warn_of_eviction(client)
        assert [record for record in caplog.records if record.levelname == "WARNING"] == []
        assert RedisMemory(client).used() == 0.0
        stored_job(client)
        Presence(client, Worker("w", "m", pid=1, host="h", concurrency=1))._beat()
        assert len(snapshot.read(client).workers["m"]) == 1
        app = make_app(settings(server.url))
        send(app)
        broker.expect_members(app, "group", 3)
        app.close()
        client.close()


def test_sentinel_names_another_server_and_clients_go_there():
    ports = free_port(), free_port()
    with contextlib.ExitStack() as open_:
        directories = [
            Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="is-"))) for _ in range(3)
        ]
        first = open_.enter_context(Valkey(directories[0], port=ports[0]))
        follows = (f"replicaof 127.0.0.1 {ports[0]}",)
        open_.enter_context(Valkey(directories[1], port=ports[1], configuration=follows))
        port = free_port()
        watching = open_.enter_context(Sentinel(directories[2], port, ports[0]))
        chosen = settings(f"sentinel://127.0.0.1:{port}?master_name=primary")
        client = open_.enter_context(contextlib.closing(connections.client(chosen)))
        app = make_app(chosen)
        client.set("kept", "1")
        assert client.wait(1, 10_000) == 1
        wait_for(lambda: watching.replicas() == 1, within_s=30)
        first.stop()
        wait_for(lambda: watching.master_port() == ports[1], within_s=30)
        wait_for(lambda: _answers(client), within_s=10)
        assert client.get("kept") == b"1"
        send(app)
        assert client.llen(QUEUE) == 1
        first.start()
        app.close()


def _answers(client):
    with contextlib.suppress(RedisError):
        return client.set("later", str(time.monotonic()))
    return False
