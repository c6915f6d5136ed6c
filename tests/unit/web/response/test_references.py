"""Items that a request names by their ids: what it may cost to find them."""

from types import SimpleNamespace

import pytest

from web.routes import responses
from workers.contract.errors import ValidationFailed
from workers.contract.events import Completed, Token
from workers.contract.job import Job, Message
from workers.contract.step import Outcome, Timings, Usage

ANSWER = [
    Token(3, "answer", 1, (1,), "Hi."),
    Completed(4, Outcome("answer", "m", 1, "stop", Usage(1, 1), Timings(), 9)),
]
IDS = [f"{number:032x}" for number in range(3)]
ITEMS = [f"msg_{each}_0" for each in IDS]


@pytest.fixture
def kept(monkeypatch):
    """What is kept of each response; a test changes it."""
    records = {
        f"resp_{each}": SimpleNamespace(
            job=Job(f"resp_{each}", "m", (Message("user", "Hello"),), 1, response={}, store=True),
            last_seq=4,
        )
        for each in IDS
    }
    parts = SimpleNamespace(
        settings=SimpleNamespace(max_body_mb=1), jobs=SimpleNamespace(events=lambda _: ANSWER)
    )
    monkeypatch.setattr(responses, "services", lambda: parts)
    monkeypatch.setattr(responses.intake, "own_response", records.__getitem__)
    return records


def test_items_of_several_responses(kept):
    assert {*responses._referenced(ITEMS)} == {*ITEMS}


def test_they_are_of_few_responses(kept, monkeypatch):
    monkeypatch.setattr(responses, "MOST_REFERENCED", 2)
    with pytest.raises(ValidationFailed, match="more than 2 responses"):
        responses._referenced(ITEMS)


@pytest.mark.parametrize("what", ["events", "characters"])
def test_the_responses_are_not_too_long_together(kept, what):
    for record in kept.values():
        if what == "events":
            record.last_seq = responses.MOST_REFERENCED_EVENTS // 2
        else:
            (turn,) = record.job.messages
            long = Message(turn.role, "x" * (2 * 2**20))
            record.job = Job(record.job.id, "m", (long,), 1, response={}, store=True)
    assert {*responses._referenced(ITEMS[:2])} == {*ITEMS[:2]}
    with pytest.raises(ValidationFailed, match="too long together"):
        responses._referenced(ITEMS)
