"""Threads that are started and stopped."""

import threading

import pytest

from workers.background import BackgroundThread


class Loop(BackgroundThread):
    def __init__(self, **options):
        super().__init__("a test", **options)
        self.running = threading.Event()
        self.ended = threading.Event()

    def _run(self):
        self.running.set()
        self._ending.wait(10)
        self.ended.set()


def test_it_runs_from_its_start_to_its_end():
    loop = Loop(ends_within_s=10)
    loop.start()
    assert loop.running.wait(10)
    assert not loop.ended.is_set()
    loop.stop()
    assert loop.ended.is_set()  # `stop` has waited for it
    loop.stop()


def test_what_was_never_started_can_be_stopped():
    loop = Loop(ends_within_s=10)
    loop.stop()
    assert not loop.running.is_set()


def test_it_starts_once():
    loop = Loop()
    loop.start()
    with pytest.raises(RuntimeError):
        loop.start()
    loop.stop()
    assert loop.ended.wait(10)
