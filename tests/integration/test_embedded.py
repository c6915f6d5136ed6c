"""The embedded server's own files: its password, and an append-only file that is damaged."""

import stat
import subprocess
import sys
import threading

import pytest
from redis import Redis

from tests.support.service import ROOT
from tests.support.waiting import wait_for
from workers.store import append_only, embedded


@pytest.fixture
def start(tmp_path):
    """Starts the embedded server of a directory; each is stopped at the end."""
    running = []

    def start():
        server = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(server)
        return server

    yield start
    for server in running:
        server.kill()
        server.communicate()


_RUN = """
import sys
from pathlib import Path
from workers.store import embedded
embedded.exec_server(Path(sys.argv[1]), 64)
"""


def answers(directory):
    try:
        with Redis.from_url(embedded.url(directory)) as redis:
            return redis.ping()
    except OSError:
        return False
    except Exception as error:
        return "Connection" in type(error).__name__ and False


@pytest.fixture
def written(start, tmp_path):
    """A directory in which a server has written a hundred keys, and ended."""
    server = start()
    wait_for(lambda: answers(tmp_path))
    with Redis.from_url(embedded.url(tmp_path)) as redis:
        for number in range(100):
            redis.set(f"key-{number}", "x" * 50)
    server.terminate()
    server.wait(10)
    return tmp_path


def log_file(directory):
    (file,) = (directory / "redis" / append_only.DIRECTORY).glob("*.incr.aof")
    return file


def damage(file):
    content = bytearray(file.read_bytes())
    content[content.index(b"*3", len(content) // 2)] = ord("X")
    file.write_bytes(content)


def test_an_empty_password_is_none(tmp_path):
    directory = tmp_path / "redis"
    directory.mkdir(parents=True)
    (directory / "password").write_text("")
    url = embedded.url(tmp_path)
    assert len((directory / "password").read_text()) == 64
    assert embedded.url(tmp_path) == url
    assert stat.S_IMODE((directory / "password").stat().st_mode) == 0o600


def test_all_who_need_a_password_at_once_get_the_same(tmp_path):
    urls = []
    threads = [
        threading.Thread(target=lambda: urls.append(embedded.url(tmp_path))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(urls) == 16
    assert len(set(urls)) == 1


def test_a_damaged_file_is_named_and_mended_up_to_the_damage(written, start):
    file = log_file(written)
    damage(file)
    server = start()
    said, _ = server.communicate(timeout=20)
    assert server.returncode
    problem = embedded.problem(written, said)
    assert str(file) in problem
    assert "inference-service redis --repair" in problem
    done = embedded.repair(written)
    assert done.file == file
    assert 0 < done.kept_bytes < done.size_bytes
    assert done.backup.stat().st_size == done.size_bytes
    assert file.stat().st_size == done.kept_bytes
    start()
    wait_for(lambda: answers(written))
    with Redis.from_url(embedded.url(written)) as redis:
        assert redis.get("key-0") == b"x" * 50
        assert 10 < redis.dbsize() < 100


def test_a_whole_file_is_left_alone(written):
    before = log_file(written).read_bytes()
    assert embedded.repair(written) is None
    assert log_file(written).read_bytes() == before


def test_a_base_that_is_damaged_is_named(written, start):
    (base,) = (written / "redis" / append_only.DIRECTORY).glob("*.base.rdb")
    content = bytearray(base.read_bytes())
    content[20:24] = b"XXXX"
    base.write_bytes(content)
    said, _ = start().communicate(timeout=20)
    problem = embedded.problem(written, said)
    assert "cannot be mended" in problem
    assert str(base.parent) in problem


def test_a_server_that_is_killed_after_its_first_start_is_not_damaged(start, tmp_path):
    """What it says of the files that it makes is no complaint about them."""
    server = start()
    wait_for(lambda: answers(tmp_path))
    server.kill()
    said, _ = server.communicate(timeout=20)
    assert "Creating AOF base file" in said
    assert embedded.damage(tmp_path, said) is None
    assert embedded.problem(tmp_path, said) is None


def test_a_running_server_is_not_repaired(start, tmp_path):
    start()
    wait_for(lambda: answers(tmp_path))
    with pytest.raises(embedded.AlreadyRunning):
        embedded.repair(tmp_path)


def test_its_directory_may_have_any_name(tmp_path):
    directory = tmp_path / "# ? * %41 ; [x] \" \\ '"
    server = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(directory)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: answers(directory))
        with Redis.from_url(embedded.url(directory)) as redis:
            assert redis.config_get("port") == {"port": "0"}
            assert redis.config_get("dir") == {"dir": str(directory / "redis")}
    finally:
        server.terminate()
        server.wait(10)
    assert (directory / "redis" / append_only.DIRECTORY).is_dir()
