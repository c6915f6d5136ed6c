"""Spans on their way to a real collector, and what a bad one costs."""

import logging
import time

import pytest

from tests.support.collector import SOON, Collector, tree
from tests.support.metrics import scrape_of
from tests.support.waiting import wait_for
from workers.contract.trace_context import TraceContext
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.span_meter import span_meter
from workers.settings import read
from workers.tracing import recording
from workers.tracing.sdk import SdkRecorder
from workers.tracing.span import Kind, Span, id_of

CALLER = TraceContext("c" * 32, "d" * 16, sampled=True, state="rojo=1")


@pytest.fixture
def recorder(monkeypatch):
    """A recorder with these settings, as a process has one; and what it says of its exports."""
    made = []

    def recorder(on_export=lambda *_: None, **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "inference-service")
        made.append(SdkRecorder(read(environ, env_file=None), "test", on_export))
        return made[-1]

    yield recorder
    for each in made:
        each.stop()
    spoken = logging.getLogger("opentelemetry")
    spoken.handlers.clear()
    spoken.propagate = True


def span(parent, name="chat m", **options):
    now = time.time_ns()
    return Span(name, id_of(parent.trace_id, name), parent, now - 10**9, now, **options)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_spans_arrive_as_one_tree(recorder, protocol):
    with Collector(protocol) as collector:
        sending = recorder(**collector.settings)
        request = sending.begin("POST /v1", CALLER, {"http.request.method": "POST"})
        assert request.context.trace_id == CALLER.trace_id
        assert request.context.state == "rojo=1"
        chat = span(request.context, attributes={"n": 1, "finish": ["stop"]}, after=("e" * 16,))
        sending.record(chat)
        sending.record(span(chat.context, "prefill", error="ENGINE_FAILED", kind=Kind.CLIENT))
        request.end({"http.response.status_code": 200}, "")
        spans = collector.await_spans(CALLER.trace_id, "POST /v1", "chat m", "prefill")
    root, below = tree(spans)
    assert root.parent_id == CALLER.span_id
    assert root.attributes == {"http.request.method": "POST", "http.response.status_code": 200}
    assert below == [("chat m", [("prefill", [])])]
    made = {each.name: each for each in spans}
    assert made["chat m"].span_id == chat.id
    assert made["chat m"].links == ("e" * 16,)
    assert made["chat m"].attributes == {"n": 1, "finish": ["stop"]}
    assert made["chat m"].ended_ns - made["chat m"].began_ns == 10**9
    assert made["prefill"].error == "ENGINE_FAILED"
    assert made["prefill"].attributes["error.type"] == "ENGINE_FAILED"
    assert root.resource["service.name"] == "inference-service"
    assert root.process == "test"


def test_a_caller_decides_whether_its_trace_is_recorded(recorder):
    with Collector() as collector:
        sending = recorder(**collector.settings)
        unrecorded = TraceContext("1" * 32, "2" * 16, sampled=False)
        request = sending.begin("POST /v1", unrecorded, {})
        assert request.context.trace_id == unrecorded.trace_id
        assert not request.context.sampled
        recording.use(sending)
        try:
            assert not recording.is_recorded(request.context)
            recording.record(span(request.context), span(CALLER))
        finally:
            recording.use(None)
        request.end({}, "")
        collector.await_spans(CALLER.trace_id, "chat m")
        assert collector.spans("1" * 32) == []


def test_the_samplers_variables_are_the_sdks(recorder):
    off = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    sending = recorder(OTEL_ENABLED="true", **SOON, **off)
    assert not sending.begin("POST /v1", None, {}).context.sampled
    assert sending.begin("POST /v1", CALLER, {}).context.sampled


@pytest.mark.parametrize("bad", ["absent", "absent over http", "500", "hangs"])
def test_a_bad_collector_costs_one_line(recorder, caplog, bad):
    caplog.set_level(logging.INFO)
    protocol = "grpc" if bad in ("absent", "hangs") else "http"
    status = 500 if bad == "500" else 200
    with Collector(protocol, status, hangs=bad == "hangs") as collector:
        settings = collector.settings
        if "absent" in bad:
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
        sending = recorder(**settings)

        def lines():
            return [line for line in caplog.messages if "collector" in line]

        for _ in range(2):
            sending.record(span(CALLER))
            wait_for(lines, 20)
        assert len(caplog.messages) == 1, caplog.messages
        assert "traces do not reach the collector at http://127.0.0.1" in lines()[0]
        began = time.monotonic()
        recording.use(sending)
        recording.stop()
        recording.use(None)
        assert time.monotonic() - began < 20  # far less than the collector hangs


def test_that_a_collector_is_back_is_said_and_spans_are_counted(recorder, caplog):
    caplog.set_level(logging.INFO)
    metrics = ProcessMetrics()
    with Collector("http", status=503) as collector:
        sending = recorder(span_meter(metrics), **collector.settings)
        sending.record(span(CALLER))
        wait_for(lambda: caplog.messages, 20)
        collector._status = 200
        sending.record(span(CALLER))
        collector.await_spans(CALLER.trace_id, "chat m")
        wait_for(lambda: "again" in caplog.messages[-1], 20)
    counts = scrape_of(metrics)
    assert counts.value("inference_spans_total", outcome="dropped") == 1
    assert counts.value("inference_spans_total", outcome="sent") == 1
