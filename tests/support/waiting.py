"""Waiting for what must become true, with a bound."""

import threading

import pytest


def wait_for(condition, within_s=10.0, every_s=0.02):
    """The condition's first true value; fails the test when it stays false."""
    pause = threading.Event()
    for _ in range(int(within_s / every_s)):
        if value := condition():
            return value
        pause.wait(every_s)
    pytest.fail(f"{condition} stayed false for {within_s} s")
