"""Prompt files and their directory: what was written comes back whole, or not at all."""

import dataclasses
import os
import stat
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.contract import keys
from workers.engines.prompt_store import prompt_directory, prompt_file
from workers.engines.prompt_store.prompt_directory import PromptDirectory
from workers.engines.prompt_store.prompt_file import DamagedFile, Interrupted, PromptHead

MODEL = "a" * 64
HEAD = PromptHead(MODEL, [1, 2, 49_151, 2**31 - 1], "key-1", 2, "job-1", 2, 300)
STATE = np.arange(300, dtype=np.uint16).astype(np.uint8)


def head(job="job-1", *, size=300, identity=MODEL, tokens=(1, 2)):
    changes = {"job": job, "state_bytes": size, "identity": identity, "tokens": list(tokens)}
    return dataclasses.replace(HEAD, **changes)


def put(directory, head, state=None):
    """Write a file as a worker does; None where there is no room."""
    state = np.zeros(head.state_bytes, np.uint8) if state is None else state
    with directory.new_file(head.identity, head.file_name, head.file_bytes) as file:
        if file is None:
            return None
        prompt_file.write(file, head, state)
    return directory.folder(head.identity) / head.file_name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a prompt file."""
    return put(PromptDirectory(tmp_path_factory.mktemp("d"), 10_000), HEAD, STATE).read_bytes()


@pytest.fixture
def directory(tmp_path):
    return PromptDirectory(tmp_path / "prompts", 10_000)


def test_what_is_written_comes_back(directory):
    path = put(directory, HEAD, STATE)
    assert prompt_file.read_head(path) == HEAD
    assert np.array_equal(prompt_file.read_state(path, HEAD), STATE)
    assert path.stat().st_size == HEAD.file_bytes


def test_files_are_for_their_user_alone(directory):
    path = put(directory, HEAD, STATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0


damages = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 10_000), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(0, 10_000), st.just(0)),
    st.tuples(st.just("add"), st.integers(1, 50), st.integers(0, 255)),
    st.tuples(st.just("zero"), st.integers(0, 10_000), st.integers(1, 5_000)),
)


@settings(max_examples=100, deadline=None)
@given(damages)
def test_a_damaged_file_is_never_taken(tmp_path_factory, whole, damage):
    kind, place, value = damage
    content = bytearray(whole)
    place %= len(content)
    if kind == "flip":
        content[place] ^= value
    elif kind == "cut":
        del content[place:]
    elif kind == "add":
        content += bytes([value]) * (place + 1)
    else:
        content[place : place + value] = bytes(len(content[place : place + value]))
    path = tmp_path_factory.getbasetemp() / "damaged.prompt"
    path.write_bytes(content)
    if content == whole:
        return
    with pytest.raises(DamagedFile):
        prompt_file.read_state(path, prompt_file.read_head(path))


def test_a_state_under_the_head_of_another_is_not_taken(directory, whole):
    other = put(directory, head("job-2", tokens=HEAD.tokens), STATE[::-1].copy())
    content = other.read_bytes()
    other.write_bytes(content[:-316] + whole[-316:])  # its state and digest
    with pytest.raises(DamagedFile, match="digest"):
        prompt_file.read_state(other, prompt_file.read_head(other))


def test_what_is_no_regular_file_is_not_read(directory, tmp_path):
    path = put(directory, HEAD, STATE)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        prompt_file.read_head(path)
    path.unlink()
    os.mkfifo(path)  # nobody writes: a reader that waited would wait for ever
    with pytest.raises(DamagedFile):
        prompt_file.read_head(path)
    assert list(directory.files()) == []


def test_first_go_those_unused_for_longest(directory):
    one, two = put(directory, head("1", size=4000)), put(directory, head("2", size=4000))
    os.utime(one, (1, time.time()))
    os.utime(two, (1, time.time() - 60))
    other = put(directory, head("3", size=4000, identity="b" * 64))
    assert sorted(found.path for found in directory.files()) == sorted([one, other])
    assert sum(found.size_bytes for found in directory.files()) <= directory.most_bytes


def test_what_is_larger_than_the_bound_is_not_written_and_nothing_goes_for_it(directory):
    one = put(directory, head("1"))
    assert put(directory, head("2", size=20_000)) is None
    assert one.exists()


def test_the_last_of_a_disk_is_left_to_others(tmp_path):
    assert put(PromptDirectory(tmp_path, 10_000, least_free_bytes=2**62), HEAD, STATE) is None


def test_what_was_given_up_leaves_nothing(directory):
    def write():
        with directory.new_file(MODEL, HEAD.file_name, HEAD.file_bytes) as file:
            prompt_file.write(file, HEAD, STATE, lambda: True)

    with pytest.raises(Interrupted):
        write()
    assert os.listdir(directory.folder(MODEL)) == []


def test_reading_can_be_given_up(directory):
    path = put(directory, HEAD, STATE)
    with pytest.raises(Interrupted):
        prompt_file.read_state(path, HEAD, lambda: True)


def test_a_file_that_is_being_written_counts_and_does_not_go(directory):
    with directory.new_file(MODEL, HEAD.file_name, 9_000) as unfinished:
        assert put(directory, head("2", size=4000)) is None
        prompt_file.write(unfinished, HEAD, STATE)
    assert (directory.folder(MODEL) / HEAD.file_name).exists()


def test_what_deleted_jobs_left_goes_from_every_folder(directory):
    for job in ("1", "2"):
        for identity in (MODEL, "b" * 64):
            put(directory, head(job, identity=identity))
    directory.forget({"1", "none"})
    left = [prompt_file.read_head(found.path).job for found in directory.files()]
    assert left == ["2", "2"]


def test_what_nobody_uses_or_finishes_goes_and_what_is_not_ours_stays(directory):
    path = put(directory, head("1"))
    unfinished = path.with_name(f"{path.name}.{'0' * 16}")
    unfinished.write_bytes(b"x")
    foreign = path.with_name("notes.txt")
    foreign.write_text("mine")
    directory.drop_unused()
    assert path.exists()
    assert unfinished.exists()
    for file in (path, unfinished, foreign):
        os.utime(file, (1, 1))
    directory.drop_unused()
    assert os.listdir(path.parent) == ["notes.txt"]


def test_nothing_is_used_for_longer_than_deletions_are_known():
    assert prompt_directory.UNUSED_S < keys.DELETED_TTL_S


def test_there_may_be_no_directory(tmp_path):
    directory = PromptDirectory(tmp_path / "none")
    directory.forget({"1"})
    directory.drop_unused()
    assert list(directory.files()) == []
