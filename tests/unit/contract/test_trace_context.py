"""Which trace a request belongs to, from headers that may say anything."""

import dataclasses

import pytest

from workers.contract.job import Job
from workers.contract.trace_context import TraceContext

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_what_headers_say_is_said_on():
    context = TraceContext.from_headers(f" {PARENT}\t", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
    assert context == TraceContext(TRACE, SPAN, True, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
    assert context.headers() == {"traceparent": PARENT, "tracestate": context.state}


def test_what_is_not_recorded_is_still_a_trace():
    context = TraceContext.from_headers(PARENT[:-1] + "0")
    assert not context.sampled
    assert context.headers() == {"traceparent": PARENT[:-1] + "0"}


def test_a_newer_version_may_say_more():
    assert TraceContext.from_headers(f"cc-{TRACE}-{SPAN}-01-what-comes") is not None
    assert TraceContext.from_headers(f"cc-{TRACE}-{SPAN}-01.what") is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        PARENT.upper(),
        PARENT + "-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        "00-" * 10_000,
        PARENT + "\n" + PARENT,
    ],
)
def test_nonsense_is_no_trace(header):
    assert TraceContext.from_headers(header) is None


@pytest.mark.parametrize("state", ["", "a" * 513, "a=\x01", "é=1"])
def test_a_state_that_cannot_be_passed_on_is_dropped(state):
    assert TraceContext.from_headers(PARENT, state).state == ""


def test_a_job_keeps_it_and_reads_one_of_before():
    job = Job("chatcmpl-1", "m", (), 0, request_id="r", trace=TraceContext.from_headers(PARENT))
    data = job.to_dict()
    assert Job.from_dict(data) == job
    assert job.log_fields == {"request_id": "r", "job_id": "chatcmpl-1", "trace_id": TRACE}
    del data["trace"]
    assert Job.from_dict(data) == dataclasses.replace(job, trace=None)
    assert job.without_request().trace == job.trace
