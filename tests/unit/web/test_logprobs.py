"""Log probabilities in answers and streams: with the text of their tokens, and only theirs."""

import dataclasses

from tests.unit.contract.test_job import job_factory
from web.render.job_events import body
from web.render.logprobs import AnswerLogprobs, of_answer, of_text
from workers.contract.events import Token
from workers.contract.logprobs import Logprob, pack
from workers.contract.sampling import Sampling

JOB = job_factory(sampling=Sampling(logprobs=1))
PACKED = [
    pack([Logprob(i, text, -0.5), Logprob(9, b"\xf0\x9f", -1.0)])
    for i, text in enumerate((b"a", b"b", b"c"))
]


def token(ids, text, logprobs, content, step="answer"):
    return Token(
        1, step, 1, tuple(ids), text, logprobs=tuple(logprobs), content_tokens=tuple(content)
    )


def said(logprobs):
    return [entry["token"] for entry in logprobs["content"]]


def test_an_entry_is_as_openais_with_the_id():
    (entry,) = of_answer(JOB, [token([0], "a", PACKED[:1], [0])])["content"]
    assert entry == {
        "id": 0,
        "token": "a",
        "bytes": [97],
        "logprob": -0.5,
        "top_logprobs": [
            {"id": 9, "token": "\ufffd", "bytes": [0xF0, 0x9F], "logprob": -1.0},
        ],
    }


def test_nobody_gets_them_who_did_not_ask():
    job = dataclasses.replace(JOB, sampling=Sampling())
    assert of_answer(job, [token([0], "a", [], [])]) is None
    assert AnswerLogprobs(job).take(token([0], "a", [], [])) is None


def test_what_was_held_back_comes_with_its_text():
    answer = AnswerLogprobs(JOB)
    assert said(answer.take(token([0], "", PACKED[:1], []))) == []
    assert said(answer.take(token([1, 2], "abc", PACKED[1:], [0, 1, 2]))) == ["a", "b", "c"]


def test_what_never_becomes_content_is_left_out():
    events = [token([0], "", [()], []), token([1], "", [PACKED[1]], [])]
    events += [token([2], "c", [PACKED[2]], [2])]
    assert said(of_answer(JOB, events)) == ["c"]


def test_tokens_of_a_version_that_tells_nothing_keep_their_places():
    """An old worker goes on with an answer, and a new one after it."""
    events = [
        token([0], "a", PACKED[:1], [0]),
        token([5, 6], "xx", [], []),
        token([2], "c", [PACKED[2]], [3]),
    ]
    assert said(of_answer(JOB, events)) == ["a", "c"]


def test_each_choice_has_its_own():
    answer = AnswerLogprobs(JOB)
    assert said(answer.take(token([0], "a", PACKED[:1], [0], "answer-1"))) == ["a"]
    assert said(answer.take(token([1], "b", PACKED[1:2], [0], "answer-2"))) == ["b"]


def test_a_text_completion_has_them_as_lists():
    events = [token([0], "", PACKED[:1], []), token([1, 2], "abc", PACKED[1:], [0, 1, 2])]
    assert of_text(JOB, events) == {
        "tokens": ["a", "b", "c"],
        "token_logprobs": [-0.5] * 3,
        "top_logprobs": [{"\ufffd": -1.0}] * 3,
        "text_offset": [0, 1, 2],
    }
    assert of_text(dataclasses.replace(JOB, sampling=Sampling()), events) is None


def test_a_jobs_events_have_them_as_readable_as_an_answer():
    shown = body(token([0, 1], "a", [PACKED[0], ()], [0]))
    assert [each and each["token"] for each in shown["logprobs"]] == ["a", None]
    assert shown["content_tokens"] == (0,)
    assert "logprobs" not in body(token([0], "a", [], []))
