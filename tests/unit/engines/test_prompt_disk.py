"""The prompt cache on disk behind the pool: what is written, found again, and what is not."""

import logging
import threading

import numpy as np
import pytest

from tests.support.prefix_pool import Pool
from tests.support.waiting import wait_for
from workers.engines.llamacpp import prompt_disk
from workers.engines.llamacpp.prompt_cache import SavedPrompt
from workers.engines.llamacpp.prompt_disk import PromptDisk
from workers.engines.prompt_store.prompt_directory import PromptDirectory

MODEL = "a" * 64
#: Long enough to be written as soon as it was read.
LONG = bytes(i % 251 for i in range(1000))
#: Long enough to be written when its worker ends.
SHORT = LONG[:100]


class Workers:
    """Workers of models on one directory; each is closed with the test."""

    def __init__(self, root):
        self.root = root
        self.open = []

    def start(self, model=MODEL, *, most_bytes=100_000, cache_bytes=5_000, forgets=False):
        disk = PromptDisk(PromptDirectory(self.root, most_bytes), lambda: model)
        pool = Pool(cache_bytes, forgets=forgets, disk=disk)
        disk.start()
        disk.await_open(60)
        self.open.append(pool)
        return pool

    def end(self, pool):
        self.open.remove(pool)
        pool.prefixes.saved.close()

    def files(self):
        return list(PromptDirectory(self.root).files())


@pytest.fixture
def workers(tmp_path, monkeypatch):
    monkeypatch.setattr(prompt_disk, "_LOOK_S", 0.02)
    workers = Workers(tmp_path / "prompts")
    yield workers
    for pool in list(workers.open):
        workers.end(pool)


def followed(pool, condition):
    """Wait for what the pool is to learn of the disk."""

    def look():
        pool.prefixes.saved.follow_disk()
        return condition()

    return wait_for(look, 60)


def on_disk(pool):
    return [bytes(p.tokens) for p in pool.prefixes.saved._by_file.values()]


def test_a_conversation_goes_on_after_its_worker_ended(workers):
    first = workers.start()
    first.run(SHORT)
    workers.end(first)
    assert workers.start().run(SHORT + b" and on") == len(SHORT)


def test_a_long_prompt_is_written_while_it_is_answered(workers):
    first = workers.start()
    sequence = first.start(LONG, job="j")
    assert first.prefixes.begin(sequence)
    first.read(sequence)
    first.prefixes.checkpoint(sequence)
    wait_for(workers.files, 60)  # its worker is killed now
    assert workers.start().run(LONG + b"?") == len(LONG)


def test_a_short_prompt_is_not_written_while_its_worker_lives(workers):
    pool = workers.start()
    pool.run(SHORT)
    pool.run(LONG)
    followed(pool, lambda: on_disk(pool) == [LONG])


def test_a_longer_one_takes_its_place_when_the_worker_ends(workers):
    pool = workers.start()
    pool.run(LONG)
    followed(pool, lambda: on_disk(pool) == [LONG])
    pool.run(LONG + SHORT)
    workers.end(pool)
    assert len(workers.files()) == 1
    assert workers.start().run(LONG + SHORT + b"?") == len(LONG + SHORT)


def test_what_has_left_the_memory_comes_back(workers):
    pool = workers.start(cache_bytes=1_500)
    pool.run(LONG)
    followed(pool, lambda: on_disk(pool) == [LONG])
    pool.run(b"x" * 1_400)
    assert LONG not in [bytes(p.tokens) for p in pool.cache]
    assert pool.run(LONG + b"?") == len(LONG)


def test_few_tokens_more_are_not_worth_a_read(workers):
    first = workers.start()
    first.run(LONG + b"1" * 10)
    workers.end(first)
    second = workers.start()
    second.run(LONG[:990])
    second.prefixes.saved.forget_all()
    assert second.run(LONG) == 999


def test_many_on_disk_that_begin_alike_are_looked_at_together(workers, monkeypatch):
    first, second = workers.start(cache_bytes=50_000), workers.start()
    second.run(LONG[:90] + b"x" * 20)  # at hand, and nearly as much of what is asked then
    for last in range(20):
        first.run(LONG[:100] + bytes([last]) * 100)
    workers.end(first)
    followed(second, lambda: len(on_disk(second)) == 20)
    looks = []
    found = type(second.prefixes)._found
    monkeypatch.setattr(
        type(second.prefixes), "_found", lambda *all_: looks.append(1) or found(*all_)
    )
    assert second.run(LONG[:100] + b"?") == 90
    assert len(looks) < 6


def test_states_read_at_once_share_a_memory_too_small_for_both(workers):
    first = workers.start(cache_bytes=3_000)
    one, two = LONG, LONG[::-1]
    first.run(one)
    first.run(two)
    workers.end(first)
    second = workers.start(cache_bytes=1_200)
    waiting = [second.start(text + b"?") for text in (one, two)]

    def begun():
        for sequence in waiting:
            if not sequence.has_begun and second.prefixes.begin(sequence):
                assert sequence.decoded == 1000
        return all(sequence.has_begun for sequence in waiting)

    wait_for(begun, 60)


def test_what_one_key_asked_stays_its_own(workers):
    first = workers.start()
    first.run(SHORT + LONG, "a")
    first.run(SHORT + b"x" * 600, "b")
    first.run(LONG[::-1], "a")
    workers.end(first)
    second = workers.start()
    assert second.run(LONG[::-1] + b"?", "b") == 0
    assert second.run(SHORT + LONG + b"?", "c") == len(SHORT)  # two keys have sent it
    assert second.run(SHORT + LONG + b"?", "a") == len(SHORT + LONG)


def test_what_a_deleted_job_left_goes_whoever_wrote_it(workers):
    pools = [workers.start() for _ in range(2)]
    pools[0].run(LONG, job="1")
    pools[0].run(LONG[::-1], job="2")
    followed(pools[1], lambda: len(on_disk(pools[1])) == 2)
    pools[1].prefixes.saved.forget_job("1")
    for pool in pools:
        followed(pool, lambda pool=pool: on_disk(pool) == [LONG[::-1]])
    assert len(workers.files()) == 1
    assert pools[1].run(LONG) == 0


def test_of_two_with_one_file_none_outlives_it(workers):
    first = workers.start()
    first.run(LONG, job="1")
    workers.end(first)
    second = workers.start()
    saved = second.prefixes.saved
    followed(second, lambda: on_disk(second) == [LONG])
    again = SavedPrompt(list(LONG), np.array(list(LONG), dtype=np.uint8), "1", 1)
    saved.add(again)
    saved.write(again)
    followed(second, lambda: again.file is not None)
    saved.disk.remove(again.file)
    followed(second, lambda: again.file is None)
    saved.forget_all()
    assert len(second.prefixes._tree) == 0


def test_what_others_write_does_not_pile_up_where_nobody_asks(workers, monkeypatch):
    workers.start().run(LONG)
    wait_for(lambda: [found for found in workers.files() if not found.is_unfinished], 60)
    idle = PromptDisk(PromptDirectory(workers.root, 100_000), lambda: MODEL)
    idle._identity = MODEL
    monkeypatch.setattr(prompt_disk, "_MOST_CHANGES", 0)
    idle._changes.put(None)
    idle._look()
    assert list(idle.changes()) == [None]
    idle._look()
    assert len(list(idle.changes())) == 1


def test_what_was_deleted_while_it_waited_is_not_written(workers, monkeypatch):
    may_write = threading.Event()
    write = PromptDisk._write
    monkeypatch.setattr(PromptDisk, "_write", lambda *all_: may_write.wait(60) and write(*all_))
    pool = workers.start()
    pool.run(LONG, job="1")
    pool.prefixes.saved.forget_job("1")
    may_write.set()
    workers.end(pool)
    assert workers.files() == []


def test_another_model_finds_nothing(workers):
    first = workers.start()
    first.run(LONG)
    workers.end(first)
    assert workers.start("b" * 64).run(LONG) == 0
    (workers.root / MODEL).rename(workers.root / ("c" * 64))  # as if it were another's
    assert workers.start("c" * 64).run(LONG) == 0


@pytest.mark.parametrize("place", [40, -100], ids=["head", "state"])
def test_a_damaged_file_is_dropped_and_its_prompt_read_anew(workers, caplog, place):
    first = workers.start()
    for text in (LONG, LONG[::-1]):
        first.run(text)
    workers.end(first)
    for file in workers.files():
        content = bytearray(file.path.read_bytes())
        content[place] ^= 1
        file.path.write_bytes(content)
    second = workers.start()
    assert second.run(LONG) == second.run(LONG[::-1]) == 0
    assert [r.levelname for r in caplog.records if "damaged" in r.message] == ["WARNING"]


def test_a_directory_that_cannot_be_written_is_said_once_and_done_without(workers, caplog):
    workers.root.write_text("no directory")
    pool = workers.start()
    pool.run(LONG)
    pool.run(LONG[::-1])
    assert pool.run(LONG) == 999
    assert not pool.prefixes.saved.are_written
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1


def test_a_disk_that_fails_is_said_once_and_read_on(workers, caplog, monkeypatch):
    first = workers.start()
    first.run(LONG)
    workers.end(first)
    second = workers.start()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prompt_disk.prompt_file, "write", fail)
    second.run(b"x" * 600)
    second.run(b"y" * 600)
    wait_for(lambda: not second.prefixes.saved.are_written, 60)
    assert second.run(LONG + b"?") == len(LONG)
    workers.end(second)
    assert len([r for r in caplog.records if "No space left" in r.message]) == 1
    assert len(workers.files()) == 1  # nothing half-written


def test_a_directory_that_was_cleared_is_made_again(workers):
    pool = workers.start()
    pool.run(LONG)
    followed(pool, lambda: on_disk(pool) == [LONG])
    for file in workers.files():
        file.path.unlink()
        file.path.parent.rmdir()
    followed(pool, lambda: on_disk(pool) == [])
    pool.run(LONG[::-1])
    followed(pool, lambda: on_disk(pool) == [LONG[::-1]])


def test_a_file_that_goes_before_it_is_read_costs_no_answer(workers):
    first = workers.start()
    first.run(LONG)
    workers.end(first)
    second = workers.start()
    (file,) = workers.files()
    file.path.unlink()
    assert second.run(LONG) == 0


def test_a_model_that_forgets_finds_whole_states_alone(workers):
    first = workers.start(forgets=True)
    first.run(SHORT)
    workers.end(first)
    second = workers.start(forgets=True)
    assert second.run(SHORT) == 0  # its last token must be decoded, and the state has it
    assert second.run(SHORT + b"?") == len(SHORT)
