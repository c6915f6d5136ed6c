"""What is measured of a step."""

import dataclasses
import itertools

import pytest

from tests.support.metrics import scrape_of
from workers.contract.job import Api, Job, Message, Priority
from workers.contract.step import Outcome, StepRequest, Timings, Usage
from workers.metrics.process_metrics import ProcessMetrics
from workers.runtime import step_meter
from workers.runtime.step_meter import CANCELLED, StepMeter
from workers.store.leases import Hold, Lease

GEN_AI = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "inference-service",
    "gen_ai_request_model": "m",
}
FIRST, PER_TOKEN, WHOLE = (
    f"gen_ai_server_{name}_seconds"
    for name in ("time_to_first_token", "time_per_output_token", "request_duration")
)


def lease(step="answer", attempt=1, **fields):
    job = Job("j", "m", (Message("user", "hi"),), 1, priority=Priority.HIGH)
    made = Lease(Hold(StepRequest("j", step, "m", True), attempt), job, 250.0, (), "")
    return dataclasses.replace(made, **fields)


def outcome(finish_reason="stop"):
    return Outcome("answer", "m", 1, finish_reason, Usage(7, 5, 3, 2), Timings(), 64)


@pytest.fixture
def metrics():
    return ProcessMetrics()


@pytest.fixture
def clock(monkeypatch):
    """Each look at the clock comes a tenth of a second after the one before."""
    ticks = itertools.count()
    monkeypatch.setattr(step_meter.time, "perf_counter", lambda: next(ticks) / 10)


@pytest.mark.usefixtures("clock")
def test_a_step_is_measured_from_when_it_could_run(metrics):
    meter = StepMeter(metrics, lease())
    meter.gave(1)
    meter.gave(2)
    meter.gave(2)
    meter.ended(outcome())
    found = scrape_of(metrics)
    assert found.value("inference_queue_wait_seconds_sum", model="m", priority="high") == 0.25
    assert found.value(f"{FIRST}_sum", **GEN_AI) == pytest.approx(0.35)
    assert found.value("inference_time_between_tokens_seconds_count", model="m") == 4
    assert found.value("inference_time_between_tokens_seconds_sum") == pytest.approx(0.2)
    assert found.value(f"{PER_TOKEN}_sum", **GEN_AI) == pytest.approx(0.2 / 4)
    assert found.value(f"{WHOLE}_sum", **GEN_AI, error_type="") == pytest.approx(0.65)
    tokens = {
        kind: found.value("inference_tokens_total", model="m", type=kind)
        for kind in ("input", "output", "cached", "reasoning")
    }
    assert tokens == {"input": 7, "output": 5, "cached": 3, "reasoning": 2}
    assert found.value("inference_steps_total", mode="single", outcome="stop") == 1


def test_what_goes_on_is_recovered_and_has_no_first_token(metrics):
    meter = StepMeter(metrics, lease(attempt=2, produced=(1, 2)))
    meter.gave(1)
    meter.ended(outcome("length"))
    found = scrape_of(metrics)
    assert found.value("inference_recovered_steps_total", model="m") == 1
    assert not found.value(f"{FIRST}_count")


def test_a_step_that_its_mode_lets_do_again_is_retried(metrics):
    StepMeter(metrics, lease("draft.2"))
    found = scrape_of(metrics)
    assert found.value("inference_retried_steps_total", model="m", mode="single") == 1
    assert not found.value("inference_recovered_steps_total")


def test_an_error_has_its_code_and_a_cancelled_step_no_duration(metrics):
    StepMeter(metrics, lease()).failed("ENGINE_FAILED")
    StepMeter(metrics, lease()).stopped(CANCELLED)
    found = scrape_of(metrics)
    assert found.value(f"{WHOLE}_count", error_type="ENGINE_FAILED") == 1
    assert found.value(f"{WHOLE}_count") == 1
    assert found.value("inference_steps_total", outcome="error") == 1
    assert found.value("inference_steps_total", outcome="cancelled") == 1


@pytest.mark.parametrize("api", Api)
def test_every_kind_of_job_has_an_operation_of_the_conventions(metrics, api):
    job = dataclasses.replace(lease().job, api=api)
    StepMeter(metrics, lease(job=job)).failed("INTERNAL")
    named = {Api.CHAT: "chat", Api.EMBEDDINGS: "embeddings", Api.RERANK: "rerank"}
    operation = named.get(api, "text_completion")
    assert scrape_of(metrics).value(f"{WHOLE}_count", gen_ai_operation_name=operation) == 1
