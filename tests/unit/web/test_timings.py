"""How long the parts of an answer took, for callers who ask."""

import pytest

from web.render import answer_streams, answers
from workers.contract.events import Completed, Token
from workers.contract.job import Api, Job
from workers.contract.prompt import Prompt
from workers.contract.step import Outcome, Timings, Usage

SPENT = Timings(queued_ms=1.04, loading_ms=2, template_ms=3, prefill_ms=4, decode_ms=5.55)
SHOWN = {"queued": 1.0, "loading": 2, "template": 3, "prefill": 4, "decode": 5.5}
ENDED = Completed(3, Outcome("answer", "m", 1, "stop", Usage(1, 1), SPENT, 100))
EVENTS = [Token(2, "answer", 1, (1,), "Hi"), ENDED]


def asked(api, **options):
    prompts = () if api is Api.CHAT else (Prompt(text="Hi"),)
    return Job("cmpl-1", "m", (), 0, mode="single", api=api, prompts=prompts, **options)


@pytest.mark.parametrize("api", [Api.CHAT, Api.TEXT])
def test_an_answer_tells_them_where_they_are_asked_for(api):
    assert answers.completion(asked(api, timings=True), EVENTS)["timings_ms"] == SHOWN
    assert "timings_ms" not in answers.completion(asked(api), EVENTS)


@pytest.mark.parametrize("api", [Api.CHAT, Api.TEXT])
def test_a_stream_tells_them_in_its_last_chunk(api):
    stream = answer_streams.of(asked(api, timings=True), with_usage=True)
    told = [body.get("timings_ms") for body in (*stream.take(EVENTS[0]), *stream.end(ENDED))]
    assert told == [None, SHOWN, None]


def test_a_worker_of_before_knows_no_time_of_the_template():
    data = ENDED.outcome.to_dict()
    del data["timings"]["template_ms"]
    assert Outcome.from_dict(data).timings.template_ms == 0
    assert (SPENT + SPENT).template_ms == 6
