"""Where an attempt's time went, as spans."""

import importlib

import pytest

from workers.contract.job import Job
from workers.contract.sampling import Sampling
from workers.contract.step import Assignment, StepRequest, Timings, Usage
from workers.contract.trace_context import TraceContext
from workers.tracing import attempts, genai
from workers.tracing.attempts import Attempt, AttemptTimes

TRACE = TraceContext("a" * 32, "b" * 16, sampled=True)
REQUEST = StepRequest("chatcmpl-1", "draft", "m", ends_job=False, part="draft")
JOB = Job("chatcmpl-1", "m", (), 0, mode="critique", trace=TRACE)
MS = 1_000_000
TAKEN = 1_000 * MS


def attempt(number=1):
    return Attempt(JOB, TRACE, REQUEST, number)


def spans(spent, *, waited_ms=100.0, number=1, **options):
    times = AttemptTimes(TAKEN, TAKEN + 90 * MS, waited_ms, spent, **options)
    return list(attempts.spans(attempt(number), times, {}))


def shown(made):
    return [(span.name, span.began_ns // MS, span.ended_ns // MS) for span in made]


def test_its_parts_follow_each_other_and_explain_all_of_it():
    spent = Timings(queued_ms=10, prefill_ms=30, decode_ms=40, template_ms=5)
    made = spans(spent)
    assert shown(made) == [
        ("chat m", 900, 1090),
        ("wait", 900, 1000),
        ("template", 1000, 1005),
        ("wait for batch", 1005, 1015),
        ("prefill", 1015, 1045),
        ("decode", 1045, 1085),
    ]
    whole, *parts = made
    assert whole.parent == TRACE
    assert {part.parent for part in parts} == {whole.context}
    assert len({span.id for span in made}) == len(made)


def test_what_took_no_time_has_no_span():
    assert [span.name for span in spans(Timings())] == ["chat m", "wait"]


def test_a_load_is_a_part_of_the_wait():
    made = spans(Timings(loading_ms=60), loaded_ago_ms=20)
    assert shown(made)[2] == ("load", 920, 980)
    assert made[2].parent == made[1].context


def test_the_next_attempt_goes_on_after_the_one_before():
    first, second = spans(Timings())[0], spans(Timings(), number=2)[0]
    assert first.after == ()
    assert second.after == (first.id,)
    assert second.attributes["inference.attempt"] == 2
    # What the keeper records of an attempt that its worker could not.
    assert attempt().span(0, 1, {}, attempts.WORKER_LOST).id == first.id


def test_no_text_of_a_caller_is_among_the_attributes():
    secret = "the-pin"
    sampling = Sampling(stop=(secret,), seed=7)
    described = {**genai.of_step(JOB, REQUEST, 1), **genai.of_sampling(sampling)}
    assert secret not in str(described)
    assert described["gen_ai.request.seed"] == 7
    assert "gen_ai.request.max_tokens" not in described


def test_content_is_bounded():
    assignment = Assignment((), Sampling())
    content = genai.content(JOB, REQUEST, assignment, "x" * 1_000_000, "stop")
    assert len(content["gen_ai.output.messages"]) <= genai.MOST_CONTENT


def test_names_are_those_of_the_conventions():
    conventions = pytest.importorskip(
        "opentelemetry.semconv._incubating.attributes.gen_ai_attributes"
    )
    known = {value for value in vars(conventions).values() if isinstance(value, str)}
    errors = importlib.import_module("opentelemetry.semconv.attributes.error_attributes")
    assert errors.ERROR_TYPE == "error.type"
    given = {
        **genai.of_step(JOB, REQUEST, 1),
        **genai.of_sampling(Sampling(max_tokens=1, seed=1)),
        **genai.of_end("stop", Usage(1, 1)),
        **genai.content(JOB, REQUEST, None, "", "stop"),
    }
    names = {name for name in given if name.startswith("gen_ai.")}
    assert len(names) > 12
    assert names <= known
