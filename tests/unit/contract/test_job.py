import json
from dataclasses import replace

import pytest

from workers.contract.constraint import Constraint, ConstraintKind
from workers.contract.embedding import Embedding
from workers.contract.events import Ranked, decode, encode
from workers.contract.job import OF_CHOICES, VERSION, Api, Job, Message, Priority
from workers.contract.prompt import ContextFile, Prompt
from workers.contract.reranking import Reranking
from workers.contract.sampling import Sampling, sampling_from
from workers.contract.step import Outcome, Timings, Usage
from workers.contract.tools import Tool, ToolChoice, Tools


def job_factory(**changes):
    return Job(
        **{
            "id": "chatcmpl-1",
            "model": "m",
            "messages": (Message("user", "hello"),),
            "created": 1,
            **changes,
        }
    )


def through_json(value):
    return json.loads(json.dumps(value.to_dict()))


def test_a_job_survives_the_journey():
    job = job_factory(
        messages=(
            Message("assistant", None, tool_calls=({"id": "c1", "function": {"name": "f"}},)),
            Message("tool", "42", tool_call_id="c1"),
        ),
        sampling=Sampling(
            max_tokens=5,
            stop=("a", "b"),
            seed=7,
            logit_bias=((5, -1.5),),
            stop_token_ids=(1, 2),
            dry_sequence_breakers=("x",),
            logprobs=3,
        ),
        metadata={"run": "7"},
        store=True,
        service_tier="flex",
        priority=Priority.HIGH,
        tools=Tools((Tool("f", "does it", {"type": "object"}),), ToolChoice.NAMED, "f", False),
    )

    assert Job.from_dict(through_json(job)) == job


def test_fields_of_a_newer_minor_version_are_ignored():
    data = through_json(job_factory())
    data["colour"] = "blue"
    data["sampling"]["mood"] = 3
    data["messages"][0]["aside"] = True

    assert Job.from_dict(data) == job_factory()


def test_a_newer_version_is_refused():
    data = through_json(job_factory()) | {"version": VERSION + 1}

    with pytest.raises(ValueError, match="version"):
        Job.from_dict(data)


def test_a_job_that_older_readers_would_misread_has_a_newer_version():
    assert through_json(job_factory())["version"] == 1
    several = through_json(job_factory(choices=3))
    assert several["version"] == OF_CHOICES
    assert Job.from_dict(several) == job_factory(choices=3)


def test_a_prompt_survives_the_journey():
    gap = Prompt("a", suffix="b", files=(ContextFile("f", "x"),), may_be_cut=True)
    job = job_factory(
        messages=(),
        prompts=(gap, Prompt(token_ids=(1, 2)), Prompt("c", parse_special=False, echo=True)),
        choices=6,
        api=Api.TEXT,
    )
    written = through_json(job)
    assert written["version"] == OF_CHOICES
    assert Job.from_dict(written) == job
    kept = Job.from_dict(through_json(job.without_request()))
    assert (kept.prompts, kept.choices, kept.api) == ((), 6, Api.TEXT)


def test_what_is_to_be_embedded_survives_the_journey():
    asked = Embedding(("a", (1, 2)), dimensions=3, truncate=True, as_base64=True)
    job = job_factory(messages=(), embedding=asked, api=Api.EMBEDDINGS)
    written = through_json(job)
    assert written["version"] == VERSION
    assert Job.from_dict(written) == job
    kept = Job.from_dict(through_json(job.without_request()))
    assert kept.embedding == replace(asked, inputs=())


def test_what_is_to_be_ranked_survives_the_journey():
    asked = Reranking("q", ("a", "b"), top_n=1, return_documents=False, truncate=True)
    job = job_factory(messages=(), reranking=asked, api=Api.RERANK)
    written = through_json(job)
    assert written["version"] == VERSION
    assert Job.from_dict(written) == job
    kept = Job.from_dict(through_json(job.without_request()))
    assert kept.reranking == replace(asked, query="", documents=())


@pytest.mark.parametrize("documents", [None, ("a", "")])
def test_a_ranking_survives_the_journey(documents):
    event = Ranked(0, "answer", 1, 5, (3, 0), (0.5, -0.25), documents)
    written = json.loads(encode(event)) | {"seq": 4}
    assert decode(json.dumps(written).encode()) == replace(event, seq=4)


def test_an_outcome_survives_the_journey():
    outcome = Outcome("answer", "m", 2, "stop", Usage(3, 4, 1), Timings(1.5, 2.5, 3.5), 2048)

    assert Outcome.from_dict(through_json(outcome)) == outcome
    assert outcome.usage.total_tokens == 7


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        (Message("user", "hi"), {"role": "user", "content": "hi"}),
        (Message("assistant", None), {"role": "assistant", "content": ""}),
        (
            Message("tool", "42", name="f", tool_call_id="c1"),
            {"role": "tool", "content": "42", "name": "f", "tool_call_id": "c1"},
        ),
        (
            Message("assistant", "4", reasoning_content="2 + 2"),
            {"role": "assistant", "content": "4", "reasoning_content": "2 + 2"},
        ),
    ],
)
def test_a_template_gets_only_what_is_set(message, turn):
    assert message.to_dict() == turn


def test_a_constraint_reads_as_it_did_before_there_were_other_kinds():
    """A worker of the version before finds its own fields, or a schema that it refuses."""
    held = Constraint(ConstraintKind.JSON_SCHEMA, {"type": "integer"})
    written = Sampling(constraint=held).to_dict()["response_format"]
    assert written == {
        "type": "json_schema",
        "schema": {"type": "integer"},
        "param": "response_format",
    }
    older = {**Sampling().to_dict(), "response_format": {"type": "json_object", "schema": None}}
    assert sampling_from(older).constraint == Constraint(ConstraintKind.JSON_OBJECT)
    choice = Sampling(constraint=Constraint(ConstraintKind.CHOICE, ("a", "b"), "guided_choice"))
    assert sampling_from(json.loads(json.dumps(choice.to_dict()))) == choice
    # No mapping: what knows schemas alone refuses it.
    assert choice.to_dict()["response_format"]["schema"] == ("a", "b")


def test_an_ended_job_keeps_nothing_that_its_answer_was_held_to():
    sampling = Sampling(constraint=Constraint(ConstraintKind.REGEX, "secret", "guided_regex"))
    assert "secret" not in json.dumps(job_factory(sampling=sampling).without_request().to_dict())
