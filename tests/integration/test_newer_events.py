"""A job whose worker is of a newer version: its events hold what this version does not know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.waiting import wait_for
from web.app import create_app
from workers.contract.events import Completed, Event, Started, Token
from workers.contract.job import Job, JobState, Message
from workers.contract.step import Outcome, StepRequest, Timings, Usage
from workers.settings import read
from workers.store.admission import Terms
from workers.store.leases import Leases
from workers.store.planned import PlannedStep
from workers.store.token_log import Entry, append

MODEL = "smollm2-135m"
REQUEST = StepRequest("chatcmpl-1", "answer", MODEL, ends_job=True)
OUTCOME = Outcome("answer", MODEL, 1, "stop", Usage(1, 2), Timings(), 100)


@dataclass(frozen=True, slots=True)
class Paused(Event):
    """An event that this version has no class for."""

    type = "paused"
    why: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewerToken(Token):
    """A token with a field that this version does not know."""

    likelihood: float = 0.5


EVENTS = [
    Started(0, "answer", 1, MODEL),
    Paused(0, {"code": "HOT", "for_s": 2}),
    NewerToken(0, "answer", 1, (1,), "so "),
    Paused(0, {"code": "HOT", "for_s": 1}),
    Token(0, "answer", 1, (2,), "be it"),
    Completed(0, OUTCOME),
]
TYPES = ["queued", "started", "paused", "token", "paused", "token", "completed"]


@pytest.fixture
def app(tmp_path, redis_socket, redis):
    environ = {
        "INFERENCE_DATA_DIR": str(tmp_path),
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
    }
    app = create_app(read(environ, env_file=None))
    yield app
    app.extensions["inference"].hub.stop()


@pytest.fixture
def lease(redis, jobs):
    """The job is stored, and its step runs."""
    job = Job(REQUEST.job_id, MODEL, (Message("user", "hi"),), created=1, asynchronous=True)
    jobs.store(job, [PlannedStep(REQUEST, {"task": f"generate.{MODEL}"})], Terms(rank=4))
    return Leases(redis, "w").take(REQUEST)


def write(redis, events, first=1):
    for number, event in enumerate(events, first):
        ended = isinstance(event, Completed)
        ending = {"ends_as": JobState.COMPLETED, "outcome": OUTCOME} if ended else {}
        entry = Entry(REQUEST.job_id, event, "answer", 1, number, **ending)
        assert append(redis, [entry]) == [number + 1]


def test_a_reader_counts_them_live_and_stored(redis, app, lease):
    hub = app.extensions["inference"].hub
    wait_for(lambda: redis.pubsub_numpat() >= 1)
    with hub.reader(REQUEST.job_id) as reader:
        live = []
        for number, event in enumerate(EVENTS, 1):
            write(redis, [event], number)
            while len(live) < number + 1:
                live += reader.batch(5)
        assert reader.batch(5) == []  # it knows that the job has ended
    with hub.reader(REQUEST.job_id) as reader:
        reader.put(None)
        assert reader.batch(5) == live
    assert [event.payload()["type"] for event in live] == TYPES
    assert [event.seq for event in live] == list(range(1, 8))


def test_a_stream_of_a_job_passes_them_on(redis, app, lease):
    write(redis, EVENTS)
    answer = app.test_client().get(f"/v1/jobs/{REQUEST.job_id}/events")
    frames = [frame.splitlines() for frame in answer.text.split("\n\n") if frame]
    assert [frame[1] for frame in frames] == [f"event: {kind}" for kind in TYPES]
    paused = json.loads(frames[2][2].removeprefix("data: "))
    assert paused == {"seq": 3, "type": "paused", "why": {"code": "HOT", "for_s": 2}}


def test_a_view_of_a_job_answers_without_them(redis, app, lease):
    write(redis, EVENTS)
    shown = app.test_client().get(f"/v1/jobs/{REQUEST.job_id}").get_json()
    assert shown["state"] == "completed"
    assert shown["result"]["choices"][0]["message"]["content"] == "so be it"


def test_another_attempt_goes_on_after_them(redis, lease):
    write(redis, EVENTS[:-1])
    Leases(redis, "w").hand_back(lease)
    again = Leases(redis, "w2").take(REQUEST)
    assert (again.attempt, again.produced, again.said) == (2, (1, 2), "so be it")
