"""Evaluations against a service that answers at once: what is asked, how often, and what comes."""

import httpx
import pytest

from presets.preset import Preset
from tests.support.fake_service import (
    CRITIQUE,
    PIPELINE,
    SINGLE,
    TASKS,
    FakeService,
    right,
)
from web.evaluate.asks import Options, lead
from web.evaluate.comparison import compare, verdict
from web.evaluate.evaluation import MOST_SAMPLES, Evaluation
from web.evaluate.ledger import Ledger
from web.evaluate.service import ServiceUnderTest

PAIR = {"critique": [("generator", "a"), ("critic", "b")]}


@pytest.fixture
def evaluation(tmp_path):
    return Evaluation(TASKS, Options(), Ledger.open(tmp_path / "answers.jsonl"))


def run(evaluation, fake, preset=CRITIQUE, in_flight=2):
    with fake.client() as client:
        return evaluation.run(preset, ServiceUnderTest(client), in_flight, lambda *_: None)


def test_lead_preset_and_samples_of_the_same_tokens(evaluation):
    fake = FakeService(right, steps=PAIR)  # five tokens a step: the pair makes twice as many
    assert run(evaluation, fake) is None
    asked = [body["orchestration_mode"] for body in fake.bodies]
    assert asked == ["single"] * 4 + ["critique"] * 4 + ["single"] * 4
    seeds = [body.get("seed") for body in fake.bodies]
    assert seeds[4:8] == [None] * 4
    # Neither two questions nor two samples of one share a seed: they would be right together.
    assert len({seed for seed in seeds if seed is not None}) == 8
    assert {body["priority"] for body in fake.bodies} == {0}
    assert {body["model"] for body in fake.bodies} == {"a"}
    assert evaluation.samples(CRITIQUE) == 2
    assert fake.most_at_once <= 2
    single, vote, pair = compare(evaluation, [CRITIQUE])
    assert [row.name for row in (single, vote, pair)] == ["a", "a x 2", "pair"]
    assert [row.completion_tokens for row in (single, vote, pair)] == [5, 10, 10]
    assert [row.right for row in (single, vote, pair)] == [4, 4, 4]
    assert "no difference" in verdict(pair)


def test_nothing_is_asked_twice(evaluation, tmp_path):
    fake = FakeService(right, steps=PAIR)
    run(evaluation, fake)
    asked = len(fake.bodies)
    again = Evaluation(TASKS, Options(), Ledger.open(tmp_path / "answers.jsonl"))
    assert again.missing(CRITIQUE) == []
    assert run(again, fake) is None
    assert len(fake.bodies) == asked
    # Another preset of the same lead needs only its own answers.
    fake.steps["pipeline"] = [("draft", "b"), ("validate", "a")]
    run(again, fake, PIPELINE)
    assert [body["orchestration_mode"] for body in fake.bodies[asked:]] == ["pipeline"] * 4


def test_it_goes_on_where_the_service_went_away(evaluation, tmp_path):
    fake = FakeService(right, steps=PAIR)

    def away(body):
        if body["orchestration_mode"] == "critique" and body["messages"][0]["content"][0] == "2":
            raise httpx.ConnectError("gone")
        return right(body)

    fake.say = away
    with pytest.raises(httpx.ConnectError):
        run(evaluation, fake, in_flight=1)
    fake.say = right
    again = Evaluation(TASKS, Options(), Ledger.open(tmp_path / "answers.jsonl"))
    assert len(again.missing(CRITIQUE)) == 2
    assert run(again, fake) is None
    asked = [(body["orchestration_mode"], body["messages"][0]["content"]) for body in fake.bodies]
    assert sorted(asked) == sorted(
        [("single", task.question) for task in TASKS for _ in range(2)]
        + [("critique", task.question) for task in TASKS]
    )


def test_a_job_that_was_sent_before_is_met_again_and_not_timed(evaluation):
    fake = FakeService(right, steps=PAIR)
    ask = evaluation.singles(CRITIQUE)[0]
    with fake.client() as client:
        service = ServiceUnderTest(client)
        first = service.ask(ask, "key")
        again = service.ask(ask, "key")
    assert first.job == again.job
    assert first.latency_s is not None
    assert again.latency_s is None
    assert len(fake.bodies) == 1


def test_a_full_queue_is_waited_for_and_a_refusal_is_not(evaluation):
    fake = FakeService(right)
    full = httpx.Response(503, headers={"Retry-After": "0"}, json={})
    fake.refusals = [full, full]
    assert run(evaluation, fake, SINGLE) is None
    fake.refusals = [httpx.Response(401, json={"error": {"message": "no key"}})]
    with pytest.raises(httpx.HTTPStatusError):
        run(evaluation, fake, CRITIQUE)


def test_what_cannot_run_says_why(evaluation):
    reason = run(evaluation, FakeService(loaded=("a",)))
    assert reason is not None
    assert "b is not there" in reason
    assert "up --preset pair" in reason
    busy = FakeService(loaded=("a",))
    busy.loading = ("b",)
    assert run(evaluation, busy) == "b is loading; try again in a moment"


def test_other_models_than_the_presets_are_no_answer_of_it(evaluation):
    fake = FakeService(steps={"critique": [("generator", "a"), ("critic", "a")]})
    reason = run(evaluation, fake)
    assert reason is not None
    assert "critic to a and not to b" in reason
    assert [row.name for row in compare(evaluation, [CRITIQUE])] == ["a"]
    fake.steps = PAIR
    assert run(evaluation, fake, PIPELINE) is None  # its steps are not checked as critique's


def test_a_failed_job_is_wrong_and_asked_again_the_next_time(evaluation):
    fake = FakeService(lambda body: {"state": "failed"}, steps=PAIR)
    run(evaluation, fake)
    single, *_ = compare(evaluation, [CRITIQUE])
    assert (single.right, single.failed) == (0, 4)
    assert len(evaluation.missing(CRITIQUE)) == 12
    fake.say = right
    run(evaluation, fake)
    assert evaluation.missing(CRITIQUE) == []
    assert compare(evaluation, [CRITIQUE])[0].right == 4


def test_samples_are_bounded(evaluation):
    def dear(body):
        return {"text": "1", "tokens": 1000 if body["orchestration_mode"] == "critique" else 5}

    run(evaluation, FakeService(dear, steps=PAIR))
    assert evaluation.samples(CRITIQUE) == MOST_SAMPLES


@pytest.mark.parametrize(
    ("preset", "leads"),
    [
        (CRITIQUE, "a"),
        (PIPELINE, "a"),
        (SINGLE, "a"),
        (Preset("p", ("a", "b"), "pipeline", "mac"), "b"),
        (Preset("d", ("a", "b"), "debate", "mac", reconciler="b"), "b"),
        (Preset("e", ("a", "b"), "ensemble", "mac", synthesiser="b"), "b"),
        (Preset("c", ("a",), "ensemble", "mac"), "a"),
    ],
)
def test_who_leads(preset, leads):
    assert lead(preset) == leads
