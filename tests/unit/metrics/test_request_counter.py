"""What is counted of requests, and how many series a stranger can make of it."""

from types import SimpleNamespace

import pytest

from tests.support.metrics import scrape_of
from web.live.request_counter import RequestCounter
from web.request_record import RequestRecord
from workers.metrics.process_metrics import ProcessMetrics


def record(route="/v1/chat/completions", model="m", status=200, **fields):
    job = None if model is None else SimpleNamespace(model=model, mode=fields.pop("mode", ""))
    return RequestRecord("POST", route, job=job, status=status, **fields)


@pytest.fixture
def metrics():
    return ProcessMetrics()


@pytest.fixture
def counter(metrics):
    return RequestCounter(metrics, ["m"])


def test_a_request_is_counted_by_what_it_asked_for_and_how_it_ended(metrics, counter):
    counter(record(mode="debate"))
    counter(record(mode="debate", error="ENGINE_FAILED"))
    counter(record("/v1/models", model=None))
    found = scrape_of(metrics)
    ended = {"route": "/v1/chat/completions", "model": "m", "mode": "debate", "code": "200"}
    assert found.value("inference_requests_total", **ended, error="") == 1
    assert found.value("inference_requests_total", **ended, error="ENGINE_FAILED") == 1
    assert found.value("inference_requests_total", model="none", mode="none") == 1
    duration = "http_server_request_duration_seconds"
    assert found.value(f"{duration}_count", http_route="/v1/chat/completions") == 2
    assert found.value(f"{duration}_bucket", http_route="/v1/models", le="+Inf") == 1


def test_what_a_caller_made_up_has_one_label_for_all_of_it(metrics, counter):
    counter(record(model="x", status=404))
    counter(record(route=None, model=None, status=404))
    counter(RequestRecord("FOO", None, status=405))
    before = len(scrape_of(metrics).samples)
    for number in range(10_000):
        counter(record(model=f"x{number}", status=404))
        counter(record(route=None, model=None, status=404))
        counter(RequestRecord(f"FOO{number}", None, status=405))
    found = scrape_of(metrics)
    assert len(found.samples) == before
    assert found.value("inference_requests_total", model="unknown") == 10_001
    assert found.value("inference_requests_total", method="_OTHER") == 10_001


def test_nothing_is_counted_where_that_is_off():
    metrics = ProcessMetrics(enabled=False)
    RequestCounter(metrics, ["m"])(record())
    assert not scrape_of(metrics).value("inference_requests_total")
