"""One trace a request, through real processes, as a collector has it."""

import json
import os
import secrets
import signal

import pytest

from tests.support.collector import Collector, tree
from tests.support.front_end import MODEL
from tests.support.jobs import ENDLESS, await_end, await_step, submit
from tests.support.service import UP, Service
from tests.support.service_fixture import SCRIPTED
from tests.support.waiting import wait_for
from workers.contract.trace_context import TraceContext

SECRET = "the-pin-of-my-card-is-0815"
CALLER = "00f067aa0ba902b7"


@pytest.fixture(scope="module", params=["grpc", "http"])
def collector(request):
    with Collector(request.param) as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector, tmp_path_factory):
    """Three scripted models whose processes send their spans there."""
    settings = {
        **SCRIPTED,
        **collector.settings,
        "INFERENCE_MAX_CONCURRENT_PER_MODEL": "4",
        "INFERENCE_GRACE_S": "0.5",
        "INFERENCE_WEBHOOK_SECRET": "a secret of some length",
        "INFERENCE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    directory = tmp_path_factory.mktemp("traced")
    with Service(directory, command=(*UP, "--preset", "demo-ensemble"), **settings) as service:
        yield service


@pytest.fixture
def caller():
    """A trace that a caller has begun, and the header that says so."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{CALLER}-01"}


def named(spans, name):
    return sorted((span for span in spans if span.name == name), key=lambda span: span.began_ns)


def test_a_stream_is_one_trace_from_the_request_to_the_last_token(traced, collector, caller):
    trace_id, headers = caller
    script = {"text": f"{SECRET} and more", "tokens_per_s": 50, "prefill_s": 0.05}
    body = traced.ask(script, orchestration_mode="single", temperature=0.5, stream=True)
    assert traced.post(body, headers=headers).text.endswith("[DONE]\n\n")
    spans = collector.await_spans(trace_id, "POST /v1/chat/completions", f"chat {MODEL}", "decode")
    root, below = tree(spans)
    assert (root.name, root.parent_id) == ("POST /v1/chat/completions", CALLER)
    assert sorted(name for name, _ in below) == ["accept", f"chat {MODEL}"]
    parts = [name for name, _ in dict(below)[f"chat {MODEL}"]]
    assert parts[0] == "wait"
    assert [part for part in parts if part in ("prefill", "decode")] == ["prefill", "decode"]
    (chat,), (decode,) = named(spans, f"chat {MODEL}"), named(spans, "decode")
    assert {span.process for span in spans} == {"web", f"worker {MODEL}"}
    assert chat.attributes["gen_ai.request.model"] == MODEL
    assert chat.attributes["gen_ai.request.temperature"] == 0.5
    assert chat.attributes["gen_ai.usage.output_tokens"] > 2
    assert chat.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert root.attributes["http.response.status_code"] == 200
    # The request's span lasts as long as its stream.
    assert root.began_ns <= chat.began_ns + 10**7
    assert root.ended_ns >= decode.ended_ns
    assert chat.began_ns <= named(spans, "prefill")[0].began_ns <= decode.began_ns
    assert SECRET not in str(spans)


def test_a_debate_is_one_trace_with_every_step_and_decision(traced, collector, caller):
    trace_id, headers = caller
    said = {
        f"participant-{place}-1": {"text": text} for place, text in ((1, "4"), (2, "5"), (3, "6"))
    }
    said |= {
        f"participant-{place}-2": {"text": text} for place, text in ((1, "4"), (2, "5"), (3, "6"))
    }
    script = {"steps": {**said, "answer": {"text": "the written answer"}}}
    body = traced.ask(script, orchestration_mode="debate")
    answer = traced.post(body, headers=headers)
    assert answer.status_code == 200
    steps = [step["step"] for step in answer.json()["orchestration"]["steps"]]

    def whole():
        spans = collector.spans(trace_id)
        chats = [span for span in spans if span.name.startswith("chat ")]
        decisions = named(spans, "decide debate")
        return spans if len(chats) == len(steps) == 7 and len(decisions) == 3 else None

    wait_for(whole, 20)
    spans = collector.await_spans(trace_id, "POST /v1/chat/completions")
    _, below = tree(spans)
    names = [name for name, _ in below]
    assert names[0] == "accept"
    assert [name.partition(" ")[0] for name in names[1:]] == [
        *["chat"] * 3, "decide", *["chat"] * 3, "decide", "chat", "decide"
    ]  # fmt: skip
    decided = [span.attributes["inference.decision"] for span in named(spans, "decide debate")]
    assert decided == ["next round", "next round", "answer"]
    assert {span.process for span in spans} > {"web", "orchestration", f"worker {MODEL}-b"}
    done = [span.attributes["inference.step"] for span in spans if span.name.startswith("chat ")]
    assert sorted(done) == sorted(steps)


def test_a_webhook_goes_on_with_the_trace(traced, collector, caller, receiver):
    trace_id, headers = caller
    job = submit(
        traced, {"text": "done"}, headers, orchestration_mode="single", webhook=receiver.url
    )
    spans = collector.await_spans(trace_id, "POST /v1/jobs", "webhook", f"chat {MODEL}")
    (delivery,) = named(spans, "webhook")
    tree(spans)
    ((_, received, _),) = receiver.seen
    received = {name.lower(): value for name, value in received.items()}
    context = TraceContext.from_headers(received["traceparent"])
    assert (context.trace_id, context.span_id) == (trace_id, delivery.span_id)
    assert delivery.attributes["http.response.status_code"] == 200
    assert await_end(traced, job["id"])["state"] == "completed"


def test_what_is_wrong_ends_its_span_and_garbage_begins_a_trace_of_its_own(traced, collector):
    before = {span.trace_id for span in collector.spans()}
    headers = {"traceparent": "garbage", "tracestate": "=" * 2000, "X-Request-ID": "wrong-one"}
    body = {**traced.ask("Hi"), "temperature": "hot"}
    assert traced.post(body, headers=headers).status_code == 422

    def refused():
        return [
            span
            for span in collector.spans()
            if span.trace_id not in before
            and span.attributes.get("inference.request_id") == "wrong-one"
        ]

    (span,) = wait_for(refused)
    assert span.parent_id == ""
    assert span.attributes["http.response.status_code"] == 422
    assert span.error is None


def test_a_client_that_leaves_ends_the_trace(traced, collector):
    body = traced.ask(ENDLESS, orchestration_mode="single")
    with traced.open_stream(body) as stream:
        stream.await_content()
    cancelled = wait_for(
        lambda: [
            span
            for span in collector.spans()
            if span.attributes.get("gen_ai.response.finish_reasons") == ["cancelled"]
        ],
        20,
    )
    spans = collector.await_spans(cancelled[0].trace_id, "POST /v1/chat/completions")
    root, _ = tree(spans)
    assert root.error == "CLIENT_LEFT"


def test_a_killed_stream_is_one_trace_and_attempts_follow_each_other(traced, collector, caller):
    trace_id, headers = caller
    text = " ".join(f"w{number}" for number in range(200))  # far from its end when it is killed
    job = submit(traced, {"text": text, "tokens_per_s": 40}, headers, orchestration_mode="single")
    await_step(traced, job["id"], "answer", tokens=10)
    for pid in traced.worker_pids():
        os.kill(pid, signal.SIGKILL)
    ended = await_end(traced, job["id"])
    assert (ended["state"], ended["attempt"]) == ("completed", 2)
    wait_for(lambda: len(named(collector.spans(trace_id), f"chat {MODEL}")) == 2, 30)
    spans = collector.await_spans(trace_id, "POST /v1/jobs", "accept", "decode")
    root, below = tree(spans)
    first, second = named(spans, f"chat {MODEL}")
    assert root.name == "POST /v1/jobs"
    assert [name for name, _ in below] == ["accept", first.name, second.name]
    assert first.error == "WORKER_LOST"
    assert first.process == "orchestration"
    assert second.links == (first.span_id,)
    assert second.attributes["inference.attempt"] == 2
    assert second.error is None


def test_over_http_with_content_and_headers_of_the_collectors(tmp_path):
    with Collector("http") as collector:
        settings = {
            **SCRIPTED,
            **collector.settings,
            "INFERENCE_OTEL_CONTENT": "true",
            "OTEL_SERVICE_NAME": "of-mine",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=k1",
        }
        with Service(tmp_path, **settings) as service:
            assert service.post(service.ask({"text": SECRET})).status_code == 200
            (chat,) = wait_for(lambda: named(collector.spans(), f"chat {MODEL}"))
            spans = collector.await_spans(chat.trace_id, "POST /v1/chat/completions", "accept")
            tree(spans)
        assert (
            json.loads(chat.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"]
            == SECRET
        )
        assert chat.resource["service.name"] == "of-mine"
        assert chat.resource["deployment.environment.name"] == "test"
        assert {
            headers.get("api-key", headers.get("Api-Key")) for headers in collector.headers
        } == {"k1"}


def test_a_collector_that_hangs_harms_nobody(tmp_path):
    with (
        Collector("grpc", hangs=True) as collector,
        Service(tmp_path, **SCRIPTED, **collector.settings) as service,
    ):
        for _ in range(5):
            assert service.post(service.ask({"text": "one two"})).status_code == 200

        def said():
            return service.logs().count("traces do not reach the collector at")

        wait_for(lambda: said() == 2, 60)  # the front end, and the worker
        assert service.post(service.ask({"text": "one two"})).status_code == 200
        assert said() == 2
