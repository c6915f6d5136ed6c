"""A real server for tests that need one: the embedded one's binary, without persistence."""

import tempfile
from pathlib import Path

import pytest
import redis as redis_py

from tests.support.valkey import Valkey
from workers.app import make_app
from workers.settings import read
from workers.store.jobs import JobStore


@pytest.fixture(scope="session")
def redis_socket():
    with (
        tempfile.TemporaryDirectory(prefix="is-") as directory,
        Valkey(Path(directory)) as server,
    ):
        yield server.socket


@pytest.fixture
def redis(redis_socket):
    with redis_py.Redis(unix_socket_path=str(redis_socket), socket_timeout=10) as client:
        client.flushall()
        yield client


@pytest.fixture
def jobs(redis):
    return JobStore(redis)


@pytest.fixture
def celery(tmp_path, redis_socket):
    """The application of processes that talk to this server."""
    environ = {"INFERENCE_DATA_DIR": str(tmp_path), "INFERENCE_REDIS_URL": f"unix://{redis_socket}"}
    return make_app(read(environ, env_file=None))
