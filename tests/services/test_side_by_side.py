"""Two versions on one Redis, as in an upgrade without a break: what one begins the other ends.

Three models answer together. The workers of a model are of one version, those of the next model of
the other, so that every round crosses; the orchestration worker, which decides between rounds and
keeps, is of either; requests come through the front ends of both.
"""

import itertools
import json
import os
import signal
import uuid

import pytest
from redis import Redis

from tests.support import versions
from tests.support.followers import TEXT, Followers
from tests.support.jobs import (
    ENDLESS,
    FIRST,
    LAST,
    MIDDLE,
    ask,
    await_end,
    await_step,
    cancel,
    content,
    job,
    read_events,
    steps_of,
    submit,
    text_of,
)
from tests.support.processes import FrontEndProcess, WorkerProcess
from tests.support.valkey import Valkey
from tests.support.versions import BEFORE, NOW
from tests.support.waiting import wait_for

#: A mode for what one model does alone; the preset's own is the pipeline.
ALONE = {"orchestration_mode": "single"}

pytestmark = pytest.mark.timeout(240)

OTHER = {BEFORE: NOW, NOW: BEFORE}
STREAMS = 4
#: Ten seconds of text: another worker is started in the middle of it.
SLOW = {"text": TEXT, "tokens_per_s": 20}
#: Enough text to be in the middle of it.
SOME = 30

JUDGED = {
    "verdict": "revise",
    "score": 0.2,
    "contradictions": [],
    "defects": [{"problem": "it is wrong", "quote": "5"}],
}
#: A script for each mode, its answer, and the models that take part, step by step.
MODES = {
    "pipeline": (
        {"draft": "a draft", "refine": "a finer one", "answer": "the pipeline's answer"},
        "the pipeline's answer",
        [FIRST, MIDDLE, LAST],
    ),
    "critique": (
        {
            "draft": "it is 5",
            "critique-1": json.dumps(JUDGED),
            "revision-1": "it is 4",
            "critique-2": json.dumps({**JUDGED, "score": 0.9}),
        },
        "it is 4",
        [LAST, MIDDLE, LAST, MIDDLE],
    ),
    "debate": (
        {
            **{
                f"participant-{place}-{round_}": str(place)
                for place in (1, 2, 3)
                for round_ in (1, 2)
            },
            "answer": "the debate's answer",
        },
        "the debate's answer",
        [LAST, MIDDLE, FIRST, LAST, MIDDLE, FIRST, LAST],
    ),
    "ensemble": (
        {"member-1": "4", "member-2": "4", "member-3": "5", "answer": "the synthesis"},
        "the synthesis",
        [LAST, MIDDLE, FIRST, LAST],
    ),
}


class Deployment:
    """One Redis, a front end of each version, and workers of the versions that a test names."""

    def __init__(self, directory, known, redis_url):
        self.redis = Redis.from_url(redis_url)
        self._directory = directory
        self._versions = known
        self._settings = {
            "INFERENCE_REDIS_URL": redis_url,
            "INFERENCE_BACKEND": "scripted",
            "INFERENCE_CONFIG": "demo-pipeline",
            "INFERENCE_MAX_CONCURRENT_PER_MODEL": "8",
            "INFERENCE_MAX_CONCURRENT_REQUESTS": "64",
            "INFERENCE_GRACE_S": "0.5",
        }
        self._number = itertools.count()
        self._all = []
        #: Version -> its front end.
        self.front_ends = {}
        #: Model -> its worker.
        self.workers = {}
        self.orchestration = None

    def _add(self, kind, version, *arguments):
        directory = self._directory / version
        directory.mkdir(exist_ok=True)
        settings = {**self._settings, "INFERENCE_DATA_DIR": str(directory)}
        log = directory / f"{next(self._number)}.log"
        process = kind(self._versions[version], settings, log, *arguments)
        process.start()
        self._all.append(process)
        return process

    def start_front_ends(self):
        """Start a front end of each version."""
        self.front_ends = {version: self._add(FrontEndProcess, version) for version in OTHER}

    def start_worker(self, version, model):
        """A worker of a model; it may not be loaded yet."""
        return self._add(WorkerProcess, version, "worker", model)

    def start_orchestration(self, version):
        """An orchestration worker; it may not be there yet."""
        return self._add(WorkerProcess, version, "worker", "--orchestration")

    def stop(self):
        """End what still runs."""
        for process in self._all:
            process.kill()
        self.redis.close()


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Both versions by name."""
    return versions.both(tmp_path_factory.mktemp("before"))


@pytest.fixture(scope="module", params=OTHER, ids="first_and_last_model_{}".format)
def deployment(request, known, tmp_path_factory):
    """The first and the last model's workers are of this version, the middle one's of the other."""
    with Valkey(tmp_path_factory.mktemp("r")) as server:
        running = Deployment(tmp_path_factory.mktemp("both"), known, server.url)
        try:
            running.start_front_ends()
            running.workers = {
                LAST: running.start_worker(request.param, LAST),
                MIDDLE: running.start_worker(OTHER[request.param], MIDDLE),
                FIRST: running.start_worker(request.param, FIRST),
            }
            for worker in running.workers.values():
                worker.await_loaded(running.redis)
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module", params=OTHER, ids="orchestration_{}".format)
def kept(request, deployment):
    """The deployment with an orchestration worker of this version, and no other."""
    deployment.orchestration = deployment.start_orchestration(request.param)
    deployment.orchestration.await_loaded(deployment.redis)
    for front_end in deployment.front_ends.values():
        front_end.await_ready()
    yield deployment
    deployment.orchestration.stop()


@pytest.fixture(params=OTHER, ids="front_end_{}".format)
def front_end(request, kept):
    return kept.front_ends[request.param]


@pytest.fixture
def fronts(kept):
    """The front ends, this version's last."""
    return kept.front_ends[BEFORE], kept.front_ends[NOW]


@pytest.mark.parametrize("module", ["web", "orchestration", "workers", "presets", "celeryconfig"])
def test_processes_of_each_version_import_their_own(known, module):
    for version in known.values():
        assert version.where(module).is_relative_to(version.root)


def test_a_plain_and_a_streamed_completion(front_end):
    body = front_end.ask({"text": "one two three"}, **ALONE)
    assert content(front_end.post(body).json()) == "one two three"
    with front_end.open_stream(body) as stream:
        assert "".join(stream.contents()) == "one two three"


@pytest.mark.parametrize("mode", MODES)
def test_models_of_both_versions_answer_together(front_end, mode):
    texts, answer, models = MODES[mode]
    script = {"steps": {step: {"text": text} for step, text in texts.items()}}
    body = ask(front_end, script, orchestration_mode=mode)
    assert content(body) == answer
    assert [model for _, _, model in steps_of(body)] == models


def test_a_job_that_fails_says_the_same(front_end):
    taken = submit(front_end, {"text": "a b c", "fail_after": 1}, **ALONE)
    shown = await_end(front_end, taken["id"])
    assert (shown["state"], shown["error"]["code"]) == ("failed", "ENGINE_FAILED")


@pytest.mark.parametrize("first", [0, 1], ids=["before_first", "now_first"])
def test_a_job_of_one_front_end_is_read_and_cancelled_at_the_other(fronts, first):
    first_front, second_front = fronts[first], fronts[1 - first]
    taken = submit(
        first_front, {"text": "one two three four five six", "tokens_per_s": 10}, **ALONE
    )
    seen = read_events(first_front, taken["id"], most=4)
    rest = read_events(second_front, taken["id"], after=seen[-1][0])
    assert rest[0][0] == seen[-1][0] + 1
    assert text_of(seen + rest) == "one two three four five six"
    assert await_end(second_front, taken["id"])["state"] == "completed"
    endless = submit(first_front, ENDLESS, **ALONE)["id"]
    wait_for(lambda: job(second_front, endless)["state"] == "running")
    assert cancel(second_front, endless).json()["state"] == "cancelled"
    assert job(first_front, endless)["state"] == "cancelled"


@pytest.mark.parametrize("first", [0, 1], ids=["before_first", "now_first"])
def test_a_request_that_comes_again_at_the_other_front_end_is_one_job(fronts, first):
    first_front, second_front = fronts[first], fronts[1 - first]
    body = first_front.ask({"text": "once"}, **ALONE)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = first_front.post(body, headers=headers)
    again = second_front.post(body, headers=headers)
    assert of_both(again.json()) == of_both(answer.json())
    assert again.headers["Idempotent-Replayed"] == "true"


def of_both(completion):
    """A completion without the empty fields that only this version's front end shows."""
    for choice in completion["choices"]:
        choice.pop("logprobs", None)
        choice["message"].pop("refusal", None)
    for name in ("accepted_prediction_tokens", "rejected_prediction_tokens"):
        assert not completion["usage"]["completion_tokens_details"].pop(name, 0)
    return completion


def test_jobs_of_both_front_ends_are_listed_together(fronts):
    ids = [await_end(front, submit(front, {"text": "x"})["id"])["id"] for front in fronts]
    for front in fronts:
        assert [entry["id"] for entry in front.get("/v1/jobs?limit=2").json()["data"]] == ids[::-1]


def test_a_worker_that_dies_is_followed_by_the_other_versions(kept, fronts):
    """Each logged token stays, and the other version's worker goes on after it."""
    dies = kept.workers[LAST]
    streams = [
        Followers(front, [front.ask(SLOW, **ALONE) for _ in range(STREAMS)]) for front in fronts
    ]
    for of_front in streams:
        of_front.await_text(SOME)
    os.kill(dies.pid, signal.SIGSTOP)  # no stream ends before the other worker is there
    kept.workers[LAST] = follower = kept.start_worker(OTHER[dies.version.name], LAST)
    follower.await_loaded(kept.redis)
    dies.kill()
    for front, of_front in zip(fronts, streams, strict=True):
        of_front.assert_whole()
        for stream in of_front.followers:
            events = read_events(front, stream.job_id)
            attempts = [event["attempt"] for _, kind, event in events if kind == "started"]
            assert attempts == [1, 2]


def test_rounds_go_on_when_the_other_version_takes_over_the_orchestration(kept, fronts):
    """What the one has planned and stored, the other decides."""
    script = {
        "steps": {
            step: {"text": f"{step} " * 40, "tokens_per_s": 10}
            for step in ("draft", "refine", "answer")
        }
    }
    ids = [submit(front, script)["id"] for front in fronts]
    for front, job_id in zip(fronts, ids, strict=True):
        await_step(front, job_id, "draft", tokens=5)
    dies = kept.orchestration
    kept.orchestration = kept.start_orchestration(OTHER[dies.version.name])
    kept.orchestration.await_loaded(kept.redis)
    dies.kill()
    for front, job_id in zip(fronts, ids, strict=True):
        shown = await_end(front, job_id, 60)
        assert shown["result"]["choices"][0]["message"]["content"] == "answer " * 40
        models = {FIRST, MIDDLE, LAST}
        assert {step["attempt"] for step in shown["steps"] if step["model"] in models} == {1}
