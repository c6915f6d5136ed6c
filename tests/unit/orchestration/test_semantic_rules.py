"""Which requests the semantic cache takes, and what has to be alike."""

from dataclasses import fields, replace

import pytest

from orchestration.semantic.eligibility import MOST_CHARACTERS, CacheWishes, why_not
from orchestration.semantic.fingerprint import fingerprint
from orchestration.semantic.scope import _SHAPES_NOTHING, scope
from workers.contract.embedding import Embedding
from workers.contract.job import Api, CastMember, Job, Message, TemplateOptions
from workers.contract.sampling import Sampling
from workers.contract.tools import Tools
from workers.contract.trace_context import TraceContext

QUESTION = "How tall is Mount Everest?"


def job(question=QUESTION, *before, **given):
    given = {"sampling": Sampling(temperature=0.0), "mode": "single", **given}
    return Job("chatcmpl-1", "m", (*before, Message("user", question)), 1, **given)


SYSTEM = Message("system", "Be brief. Today is Monday.")


@pytest.mark.parametrize(
    ("asked", "wishes", "reason"),
    [
        (job(), {}, None),
        (job(QUESTION, SYSTEM), {}, None),
        (job(sampling=Sampling(temperature=0.3)), {}, None),
        (job(sampling=Sampling(temperature=0.31)), {}, "temperature"),
        (job(sampling=Sampling()), {"any_temperature": True}, None),
        (job(), {"no_store": True}, "no_store"),
        (job(QUESTION, Message("user", "Hi"), Message("assistant", "Hi")), {}, "several_turns"),
        (job(QUESTION, Message("assistant", "Hi")), {}, "several_turns"),
        (replace(job(), messages=(Message("user", "Hi"), SYSTEM)), {}, "several_turns"),
        (job(""), {}, "several_turns"),
        (replace(job(), messages=()), {}, "several_turns"),
        (job("a" * (MOST_CHARACTERS + 1)), {}, "long_question"),
        (job(tools=Tools(())), {}, "tools"),
        (job(choices=2), {}, "several_choices"),
        (job(sampling=Sampling(temperature=0.0, logprobs=0)), {}, "logprobs"),
        (job(mode="critique"), {}, "several_models"),
        (job(cast=(CastMember("critic", "n"),)), {}, "several_models"),
        (job(asynchronous=True), {}, "no_chat"),
        (job(api=Api.TEXT), {}, "no_chat"),
        (job(embedding=Embedding(("a",))), {}, "no_chat"),
        (job("What is my name?"), {}, "user_specific"),
        (job("What is my name?"), {"user_specific": False}, None),
        (job(), {"user_specific": True}, "user_specific"),
        (job("Who is president today?"), {}, "time_sensitive"),
        (job("What happened last week?"), {}, "time_sensitive"),
        (job("What is the latest release?"), {}, "time_sensitive"),
        (job("Welche Partei regiert heute?"), {}, "time_sensitive"),
        (job("Translate 'my today' to French."), {}, None),
        (job("What is the last word of it?"), {}, None),
        (job("Who is president today?"), {"time_sensitive": False}, None),
        (job(), {"time_sensitive": True}, "time_sensitive"),
    ],
)
def test_what_is_never_looked_up_or_kept(asked, wishes, reason):
    assert why_not(asked, CacheWishes(**wishes)) == reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, can you please tell me?", ()),
        ("What's the capital of France?", ("capital", "france")),
        ("Could you give me the Capital of FRANCE", ("capital", "france")),
        ("Subtract 3 from 5.", ("subtract", "3", "from", "5")),
        ("Is 1,000,000 more than -1.5?", ("1000000", "more", "than", "-1.5")),
        ("the second of three biggest cities", ("2nd", "3", "biggest", "city")),
        ("Why shouldn\u2019t I? I can't. He cannot!", ("why", "should", "not", "not", "he", "not")),
        ("5 kilometers in miles", ("5", "km", "mile")),
        ("15% of $20", ("verbatim 15%", "verbatim $20")),
        ("What is IT? What is it?", ("it",)),
        ("Is x^2 == x.y?", ("verbatim x^2", "verbatim ==", "verbatim x.y")),
        ("Is vitamin A good? Can I eat it?", ("vitamin", "a", "good", "eat")),
        (
            "When did World War I end? Can I know?",
            ("when", "did", "world", "war", "i", "end", "know"),
        ),
        ("Who is Al Gore? And what's `a` In it?", ("who", "al", "gore", "verbatim a", "in")),
        ("useState and f(x) do", ("verbatim useState", "verbatim f(x)")),
        ("ls -l in C++", ("ls", "verbatim -l", "verbatim C++")),
        ('say "To be" or `not  to`', ("say", "verbatim To be", "or", "verbatim not  to")),
        ("don't 'quote me' it's", ("not", "verbatim quote me")),
        ("well-known state-of-the-art", ("well", "known", "state", "art")),
        ("Fix:\n  a = 1\n    b", ("repair", "verbatim a = 1\n    b")),
        ("\u4f60\u597d \U0001f600", ("\u4f60\u597d", "\U0001f600")),
        ("", ()),
    ],
)
def test_the_words_of_weight(text, words):
    assert fingerprint(text) == words


def digest(asked, model_hash="aa", embedder_hash="bb", shared=False):
    words = fingerprint(asked.messages[-1].content)
    return scope(asked, words, model_hash, embedder_hash, shared=shared)


OTHERS = {
    "model": "n",
    "messages": (replace(SYSTEM, content="Be long."), Message("user", QUESTION)),
    "sampling": Sampling(temperature=0.0, seed=1),
    "mode": "pipeline",
    "user": "ann",
    "owner": "key-1",
    "asynchronous": True,
    "preset": "D3",
    "cast": (CastMember("critic", "n"),),
    "bounds": {"rounds": 1.0},
    "template": TemplateOptions({"enable_thinking": False}),
    "tools": Tools(()),
    "choices": 2,
    "api": Api.TEXT,
    "compression": "auto",
    "response": {"instructions": "Be brief."},
}
ALIKE = {
    "id": "chatcmpl-2",
    "created": 2,
    "request_id": "r",
    "trace": TraceContext("a" * 32, "b" * 16, True),
    "priority": 1,
    "service_tier": "flex",
    "metadata": {"k": "v"},
    "store": True,
    "timings": True,
    "deadline_s": 1.0,
    "webhook": "http://x",
    "routing": {"reason": "r"},
    "task_type": "code",
}


def test_all_that_shapes_an_answer_is_part_of_its_scope():
    asked = job(QUESTION, SYSTEM)
    of_no_chat = {"prompts", "embedding", "reranking"}
    assert {*OTHERS, *ALIKE} == {each.name for each in fields(Job)} - of_no_chat
    assert {*ALIKE} == {*_SHAPES_NOTHING} - {"version"}
    for name, value in OTHERS.items():
        assert digest(replace(asked, **{name: value})) != digest(asked), name
    for name, value in ALIKE.items():
        assert digest(replace(asked, **{name: value})) == digest(asked), name
    assert digest(asked, model_hash="cc") != digest(asked)
    assert digest(asked, embedder_hash="cc") != digest(asked)


def test_the_last_message_counts_by_its_words_of_weight():
    assert digest(job("What is the height of it?")) == digest(job("Tell me: height of it"))
    assert digest(job("What is the height of it?")) != digest(job("What is the width of it?"))


def test_a_shared_cache_knows_no_keys_and_still_users():
    one, other = job(owner="key-1"), job(owner="key-2")
    assert digest(one) != digest(other)
    assert digest(one, shared=True) == digest(other, shared=True)
    assert digest(replace(one, user="ann"), shared=True) != digest(one, shared=True)
