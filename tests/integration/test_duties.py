"""Duties register themselves: the keeper finds those of its folder, and one that a test defines."""

import threading

import pytest

from workers.keeper import duties
from workers.keeper.aging import Aging
from workers.keeper.duties import Resources
from workers.keeper.keeper import Keeper
from workers.settings import read

#: Every duty that runs under the settings as they ship, by its class.
SHIPPED = [
    "Aging",
    "CacheInvalidation",
    "Deadlines",
    "JobIndex",
    "ModelLoads",
    "PromptFiles",
    "Reaper",
    "Redelivery",
    "RoundTimeouts",
    "Webhooks",
]


@pytest.fixture
def resources(tmp_path, redis_socket, redis, celery):
    def resources(**environ):
        environ = {"INFERENCE_DATA_DIR": str(tmp_path), **environ}
        environ["INFERENCE_REDIS_URL"] = f"unix://{redis_socket}"
        return Resources(redis, celery, read(environ, env_file=None))

    return resources


def names(made):
    return sorted(type(duty).__name__ for duty in made)


def test_every_module_that_defines_a_duty_is_found(resources):
    assert names(duties.make(resources())) == SHIPPED


def test_a_duty_that_the_settings_leave_nothing_to_do_is_not_made(resources):
    made = duties.make(resources(INFERENCE_QUEUE_STRATEGY="fifo"))
    assert not any(isinstance(duty, Aging) for duty in made)
    assert names(made) == [name for name in SHIPPED if name != "Aging"]


class Chime:
    """A duty of this test."""

    def __init__(self, redis):
        self._redis = redis
        self.swept = threading.Event()

    def begin(self):
        self._redis.set("chime", 0)

    def sweep(self):
        if self._redis.incr("chime") == 2:
            self.swept.set()


def test_a_duty_defined_elsewhere_is_swept(resources, redis, monkeypatch):
    monkeypatch.setattr(duties, "_REGISTERED", dict(duties._REGISTERED))
    made = []

    @duties.register
    def _chime(given):
        made.append(Chime(given.redis))
        return made[-1]

    keeper = Keeper(redis, duties.make(resources()))
    keeper.start()
    try:
        assert made[0].swept.wait(5)
    finally:
        keeper.stop()
