"""Workers that live and do not work: found, ended, started again; nothing is lost."""

import httpx
import pytest

from tests.support.followers import SPOKEN, TEXT, Followers
from tests.support.front_end import MODEL
from tests.support.jobs import job
from tests.support.service_fixture import SCRIPTED, service_fixture
from tests.support.waiting import wait_for
from workers.app import make_app, model_queue
from workers.settings import read

pytestmark = pytest.mark.timeout(300)


service = service_fixture(
    "Four answers at once, and little patience with an engine that stands still.",
    INFERENCE_MAX_CONCURRENT_PER_MODEL="4",
    INFERENCE_WEDGED_S="2",
    **SCRIPTED,
)


def test_a_worker_that_was_stopped_is_ended_and_its_streams_go_on(service):
    streams = Followers(service, [service.ask(SPOKEN) for _ in range(4)])
    streams.await_text(60)
    stopped = service.child("worker", MODEL)
    stopped.suspend()
    streams.assert_whole()
    assert not stopped.is_running()


def test_a_worker_that_consumes_nothing_is_ended(service):
    wait_for(service.is_ready, 60)
    deaf = service.child("worker", MODEL)
    celery = make_app(read({"INFERENCE_DATA_DIR": str(service.data_dir)}, env_file=None))
    celery.control.cancel_consumer(model_queue(MODEL), reply=True, timeout=2)
    celery.close()
    taken = httpx.post(f"{service.url}/v1/jobs", json=service.ask({"text": "heard"})).json()
    wait_for(lambda: job(service, taken["id"])["state"] == "completed", 60)
    assert not deaf.is_running()


def test_an_engine_that_hangs_is_ended_and_its_neighbours_go_on(service):
    wait_for(service.is_ready, 60)
    neighbours = Followers(service, [service.ask({**SPOKEN, "tokens_per_s": 20}) for _ in range(2)])
    neighbours.await_text(20)
    hanging = service.ask({"text": TEXT, "hang_after": 3})
    taken = httpx.post(f"{service.url}/v1/jobs", json=hanging).json()
    neighbours.assert_whole()
    wait_for(lambda: job(service, taken["id"])["state"] == "failed", 150)
    record = service.get(taken["status_url"]).json()
    assert record["error"]["code"] == "JOB_POISONED"
    assert "has not moved" in service.logs()


def test_a_worker_that_is_silent_for_a_moment_is_waited_for(service):
    wait_for(service.is_ready, 60)
    assert service.post(service.ask({"text": "before"})).status_code == 200
    silent = service.child("worker", MODEL)
    silent.suspend()
    try:
        wait_for(lambda: not service.is_ready(), 10)  # its presence has expired
        asked = httpx.post(f"{service.url}/v1/jobs", json=service.ask({"text": "after"}))
        assert asked.status_code == 202, asked.text
    finally:
        silent.resume()
    wait_for(lambda: job(service, asked.json()["id"])["state"] == "completed", 30)
    assert silent.is_running()
