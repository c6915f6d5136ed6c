"""Starting what was accepted, and taking back what cannot be started; on a real server."""

import pytest

from orchestration.modes.rounds import Round, Step
from orchestration.rounds import dispatch
from orchestration.submit import Accepted, Submitter
from workers.app import make_app
from workers.contract.errors import BrokerUnavailable
from workers.contract.job import Job, JobState, Message
from workers.contract.step import ANSWER
from workers.settings import read
from workers.store.admission import Idempotency, Known, Stored, Terms

MODEL = "m"
KEY = Idempotency("jobs::key", "ab")


@pytest.fixture
def away(tmp_path):
    """An application whose broker cannot be reached."""
    environ = {
        "INFERENCE_DATA_DIR": str(tmp_path),
        "INFERENCE_REDIS_URL": f"unix://{tmp_path}/nobody-listens",
    }
    return make_app(read(environ, env_file=None))


@pytest.fixture
def submitter(jobs, away):
    """Its records can be reached, its broker cannot."""
    rest = {"admission": None, "router": None, "mode_selector": None, "modes": {}}
    return Submitter(None, None, jobs, away, **rest)


@pytest.fixture
def stored(jobs, away):
    """Store a job with the one Idempotency-Key: what came of it, the job and its steps."""

    def stored(job_id):
        job = Job(job_id, MODEL, (Message("user", "hi"),), created=1, asynchronous=True)
        round_ = Round((Step(ANSWER, ANSWER, MODEL),), ends_job=True)
        steps = tuple(dispatch.plan(away, job, 1, round_))
        return jobs.store(job, steps, Terms(4, keep_s=60, idempotency=KEY)), job, steps

    return stored


def test_what_cannot_be_started_is_taken_back(jobs, submitter, stored):
    answer, job, steps = stored("chatcmpl-1")
    assert isinstance(answer, Stored)
    with pytest.raises(BrokerUnavailable, match="Nothing was accepted"):
        submitter.start(Accepted(job, steps, 4, 1, 0.0, KEY))
    assert jobs.record(job.id).state is JobState.CANCELLED
    assert isinstance(stored("chatcmpl-2")[0], Stored)
    assert isinstance(stored("chatcmpl-3")[0], Known)
