"""Draining a worker by its id, from any front end."""

import pytest

from tests.support.waiting import wait_for
from web.app import create_app
from workers.cluster.drains import Drains, DrainWatcher
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.settings import read


@pytest.fixture
def watcher(redis):
    """A worker's own watcher, and what it was called for."""
    watcher = DrainWatcher(redis, "w@host", lambda: ended.append("w"))
    ended = watcher.ended = []
    watcher.start()
    yield watcher
    watcher.stop()


def test_a_worker_that_is_asked_ends_with_the_grace_that_was_named(redis, watcher):
    Drains(redis).request("w@host", 90)
    wait_for(lambda: watcher.ended == ["w"])
    assert (watcher.grace_s(30), watcher.grace_s(30)) == (90, 30)  # a later signal is another's
    assert not redis.exists(keys.drain("w@host"))


def test_without_one_its_own_settings_hold(redis, watcher):
    Drains(redis).request("other@host", 90)
    Drains(redis).request("w@host")
    wait_for(lambda: watcher.ended == ["w"])
    assert watcher.grace_s(30) == 30
    assert redis.pttl(keys.drain("other@host")) > 0


@pytest.fixture
def client(tmp_path, redis_socket, redis):
    app = create_app(
        read(
            {
                "INFERENCE_DATA_DIR": str(tmp_path),
                "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
                "INFERENCE_API_KEYS": "user",
                "INFERENCE_ADMIN_KEYS": "root",
            },
            env_file=None,
        )
    )
    presence = Presence(redis, Worker("w@host", "m", pid=1, host="host", concurrency=1))
    presence.start()
    wait_for(lambda: redis.exists(keys.worker("w@host")))
    client = app.test_client()

    def ask(method, path, key="root"):
        return client.open(path, method=method, headers={"Authorization": f"Bearer {key}"})

    yield ask
    presence.stop()
    app.extensions["inference"].hub.stop()


def test_an_admin_lists_workers_and_drains_one(client, redis):
    (listed,) = client("GET", "/v1/workers").get_json()["data"]
    assert (listed["id"], listed["model"], listed["host"]) == ("w@host", "m", "host")
    assert client("POST", "/v1/workers/w@host/drain?grace_s=5").status_code == 202
    assert redis.get(keys.drain("w@host")) == b'{"grace_s": 5.0}'


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", "/v1/workers", "user", 403),
        ("POST", "/v1/workers/w@host/drain", "user", 403),
        ("POST", "/v1/workers/nobody/drain", "root", 404),
        ("POST", "/v1/workers/w@host/drain?grace_s=nan", "root", 422),
        ("POST", "/v1/workers/w@host/drain?grace_s=-1", "root", 422),
    ],
)
def test_others_and_what_is_wrong_are_refused(client, redis, method, path, key, status):
    assert client(method, path, key).status_code == status
    assert not redis.exists(keys.drain("w@host"))
