"""Fetching, from a hub on this machine that breaks off, lies and refuses."""

import fcntl
import hashlib
import shutil
import sys
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from presets.fetching.hub import Hub
from presets.fetching.pulling import Pull, fetch, is_right, require_room
from presets.fetching.repository import PullError, gguf_files, safetensors_files
from tests.support.hub import StandInHub

REPO = "someone/a-model-GGUF"
CONTENT = b"GGUF" + hashlib.sha256(b"weights").digest() * 20_000
CHUNK = 64 * 1024


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    # What is fetched is written chunk by chunk; the client waits before it tries again.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    no_time = SimpleNamespace(sleep=lambda _s: None)
    monkeypatch.setattr("huggingface_hub.file_download.time", no_time)
    with StandInHub() as hub:
        hub.repos[REPO] = {"w.gguf": CONTENT, "README.md": b"words"}
        yield hub


@pytest.fixture
def pull(server, tmp_path):
    """The one file of the repository, to be fetched into a directory."""
    hub = Hub(server.endpoint)
    (file,) = gguf_files(hub.files(REPO), REPO, "w.gguf")
    return Pull(file, tmp_path / "a-model")


def get(server, pull, on_bytes=lambda _done: None):
    return fetch(Hub(server.endpoint), pull, on_bytes, lambda _done: None)


def left(pull):
    """What lies in the model's directory."""
    return sorted(path.name for path in pull.directory.iterdir())


def test_a_file_is_fetched_whole_and_told_of(server, pull):
    counts = []
    assert get(server, pull, counts.append) == pull.target
    assert pull.target.read_bytes() == CONTENT
    assert left(pull) == ["w.gguf"]
    assert counts == sorted(counts)
    assert counts[-1] == len(CONTENT)


def test_a_broken_connection_is_taken_up_where_it_broke(server, pull):
    server.cuts = [3 * CHUNK + 5, CHUNK + 5]
    assert get(server, pull).read_bytes() == CONTENT
    assert server.sent("w.gguf") == [None, f"bytes={3 * CHUNK}-", f"bytes={4 * CHUNK}-"]


def test_what_was_fetched_outlives_the_try(server, pull):
    def stop(done):
        if done >= 2 * CHUNK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, pull, stop)
    assert pull.kept_bytes == 2 * CHUNK
    assert pull.left_bytes == len(CONTENT) - 2 * CHUNK
    assert get(server, pull).read_bytes() == CONTENT
    assert server.sent("w.gguf") == [None, f"bytes={2 * CHUNK}-"]
    assert left(pull) == ["w.gguf"]


def test_a_connection_that_always_breaks_keeps_what_came(server, pull):
    server.cuts = [CHUNK + 5] + [0] * 20
    with pytest.raises(PullError, match="cannot be reached"):
        get(server, pull)
    assert pull.kept_bytes == CHUNK
    server.cuts = []
    assert get(server, pull).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_of_it_again(server, pull):
    server.ranges = False
    pull.directory.mkdir()
    pull.part.write_bytes(CONTENT[:CHUNK])
    counts = []
    assert get(server, pull, counts.append).read_bytes() == CONTENT
    assert counts[-1] == len(CONTENT)


def test_what_was_kept_and_is_longer_than_the_file_is_begun_anew(server, pull):
    pull.directory.mkdir()
    pull.part.write_bytes(CONTENT + b"more")
    assert get(server, pull).read_bytes() == CONTENT


def test_what_an_older_version_left_is_removed(server, pull):
    pull.directory.mkdir()
    (pull.directory / ".w.gguf.0123456789abcdef.part").write_bytes(b"other bytes")
    get(server, pull)
    assert left(pull) == ["w.gguf"]


@pytest.mark.parametrize("wrong", [CONTENT[:-1] + b"!", CONTENT + b"more"])
def test_wrong_bytes_are_deleted_and_told(server, pull, wrong):
    server.wrong["w.gguf"] = wrong
    with pytest.raises(PullError, match="another checksum"):
        get(server, pull)
    assert not pull.directory.exists()


def test_too_few_bytes_are_told_and_kept(server, pull):
    server.wrong["w.gguf"] = CONTENT[:CHUNK]
    with pytest.raises(PullError, match=f"sent {CHUNK} of the {len(CONTENT)} bytes"):
        get(server, pull)
    assert pull.kept_bytes == CHUNK


def test_two_do_not_fetch_the_same_file(server, pull):
    pull.directory.mkdir()
    with pull.part.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(PullError, match="another process is fetching"):
            get(server, pull)
    assert server.sent("w.gguf") == []


def test_a_file_that_another_process_fetched_meanwhile_is_taken(server, pull):
    pull.directory.mkdir()
    pull.target.write_bytes(CONTENT)
    assert get(server, pull) == pull.target
    assert server.sent("w.gguf") == []
    assert left(pull) == ["w.gguf"]


def test_a_right_file_is_known_and_another_is_left_alone(server, pull):
    assert not is_right(pull, lambda _done: None)
    get(server, pull)
    assert is_right(pull, lambda _done: None)
    assert pull.left_bytes == 0
    for other in (b"mine", CONTENT[:-1] + b"!"):
        pull.target.write_bytes(other)
        with pytest.raises(PullError, match="left as it is"):
            is_right(pull, lambda _done: None)
        assert pull.target.read_bytes() == other


def test_a_disk_without_room_is_told_before_the_first_byte(pull, tmp_path, monkeypatch):
    require_room([pull], tmp_path)
    usage = SimpleNamespace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(PullError, match="are free in"):
        require_room([pull], tmp_path)


def test_a_directory_that_cannot_be_written(server, pull):
    pull.directory.write_text("a file is in its place")
    with pytest.raises(PullError, match="cannot be written"):
        get(server, pull)


@pytest.mark.parametrize(
    ("status", "message"),
    [(500, "answers 500"), (503, "answers 503"), (404, "404"), (403, "HF_TOKEN")],
)
def test_a_hub_that_refuses(server, pull, status, message):
    server.status = status
    with pytest.raises(PullError, match=message):
        Hub(server.endpoint).files(REPO)


def test_a_gated_repository_tells_how_to_get_in(server, pull, monkeypatch):
    server.gated.add(REPO)
    with pytest.raises(PullError, match=r"is gated: accept its terms at .*; set HF_TOKEN"):
        get(server, pull)
    assert not pull.directory.exists()
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(PullError, match="your HF_TOKEN has no access"):
        get(server, pull)
    monkeypatch.setenv("HF_TOKEN", server.token)
    assert get(server, pull).read_bytes() == CONTENT


def test_a_repository_that_is_not_there(server):
    with pytest.raises(PullError, match=r"shows no someone/else \(401\): .* set HF_TOKEN"):
        Hub(server.endpoint).files("someone/else")


@pytest.mark.parametrize("name", ["no repo/at all/", "../../etc"])
def test_a_name_that_is_no_repository(server, name):
    with pytest.raises(PullError, match="is no repository"):
        Hub(server.endpoint).files(name)
    assert server.seen == []


def test_a_hub_that_nobody_answers_at(server):
    endpoint = server.endpoint
    server.server_close()
    with pytest.raises(PullError, match=r"cannot be reached: .*HF_ENDPOINT"):
        Hub(endpoint).files(REPO)


def test_offline_mode_is_said(server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PullError, match="HF_HUB_OFFLINE is set"):
        Hub(server.endpoint).files(REPO)


SPLIT = {f"Q4/w-0000{number}-of-00002.gguf": bytes([number]) * 100 for number in (1, 2)}


@pytest.mark.parametrize("name", ["Q4/w-00001-of-00002.gguf", "Q4/w.gguf"])
def test_a_split_file_is_all_its_parts_by_either_name(server, name):
    server.repos[REPO] = SPLIT
    files = gguf_files(Hub(server.endpoint).files(REPO), REPO, name)
    assert [file.local_name for file in files] == ["w-00001-of-00002.gguf", "w-00002-of-00002.gguf"]


def test_a_split_that_misses_a_part_in_its_repository(server):
    server.repos[REPO] = dict(list(SPLIT.items())[:1])
    files = Hub(server.endpoint).files(REPO)
    with pytest.raises(PullError, match=r"Q4/w-00002-of-00002\.gguf is missing"):
        gguf_files(files, REPO, "Q4/w.gguf")


def test_a_file_that_the_repository_has_not_names_those_it_has(server):
    with pytest.raises(PullError, match=r"has no file v\.gguf; it has w\.gguf"):
        gguf_files(Hub(server.endpoint).files(REPO), REPO, "v.gguf")


def test_what_vllm_reads_and_no_code(server, tmp_path):
    wanted = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer.model"]
    others = ["modeling.py", "README.md", "original/params.json", "consolidated.safetensors"]
    server.repos[REPO] = {name: name.encode() for name in wanted + others}
    hub = Hub(server.endpoint)
    files = safetensors_files(hub.files(REPO), REPO)
    assert sorted(file.name for file in files) == wanted
    # Small files have git's checksum, large ones a SHA-256.
    assert {file.name for file in files if file.sha256} == {"model.safetensors"}
    for file in files:
        fetched = fetch(hub, Pull(file, tmp_path), lambda _done: None, lambda _done: None)
        assert fetched.read_bytes() == file.name.encode()


def test_a_repository_without_safetensors(server):
    with pytest.raises(PullError, match=r"no config\.json with \*\.safetensors"):
        safetensors_files(Hub(server.endpoint).files(REPO), REPO)


def test_without_the_client_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PullError, match=r"pip install .*\[pull\]"):
        Hub()
