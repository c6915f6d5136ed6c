"""What is cached, and what is never, on real processes with the scripted engine."""

import json

import pytest

from tests.support.jobs import ask, content
from tests.support.waiting import wait_for
from workers.contract import keys
from workers.contract.job import COMPRESS

LISTS = dict.fromkeys(("decisions", "constraints", "open_questions", "evidence", "errors"), ())
SHORT = json.dumps({**LISTS, "context": "It is a long text."})
#: A draft that goes on for its whole generation part, and what shortens it.
LONG_DRAFT = {
    "text": SHORT,
    "steps": {
        "draft": {"text": "long ", "repeat": True, "tokens_per_s": 100_000},
        "refine": {"text": "a finer one"},
        "answer": {"text": "the answer itself"},
    },
}
#: A system message after which such a draft leaves the next answer less than its part.
CROWDED = {"role": "system", "content": "calm " * 600}
SHORTENING = "compress-draft-1-1-1"
CANARY = "a word that only this conversation has"


@pytest.fixture
def compressions(scripted):
    """What the cache of compressions says of itself."""

    def compressions():
        data = scripted.get("/v1/caches").json()["data"]
        return next(each for each in data if each["id"] == "compressions")

    return compressions


@pytest.fixture
def shorten(scripted):
    """Asks a pipeline whose draft has to be shortened."""

    def shorten():
        messages = scripted.ask(LONG_DRAFT)["messages"]
        return ask(scripted, LONG_DRAFT, messages=[CROWDED, *messages])

    return shorten


def tokens(body):
    (step,) = (step for step in body["orchestration"]["steps"] if step["step"] == SHORTENING)
    return step["tokens"]["completion"]


def test_the_same_draft_is_shortened_once(scripted, shorten, compressions):
    # A worker that still reads its files keeps nothing; once it has, the second finds the first.
    first = shorten()
    before = wait_for(lambda: (found := compressions())["entries"] and found, 30)
    again = shorten()
    assert tokens(first) > 0 == tokens(again)
    assert content(first) == content(again) == "the answer itself"
    assert again["inference_metadata"]["compression_applied"] is True
    assert wait_for(lambda: compressions()["hits"] > before["hits"], 30)
    cleared = scripted.delete("/v1/caches/compressions").json()["data"]
    assert cleared == [{"id": "compressions", "object": "cache.cleared", "dropped": 1}]
    assert tokens(shorten()) > 0


def test_conversations_questions_and_errors_are_never_cached(scripted):
    script = scripted.ask(LONG_DRAFT)["messages"]
    told = [
        {"role": "user", "content": f"{CANARY} " * 600},
        {"role": "assistant", "content": CANARY},
    ]
    failing = {"text": CANARY, "fail_after": 2, "fail_with": "ENGINE_FAILED"}
    single = {"orchestration_mode": "single"}
    shortened = {"messages": [*told, *script], "compression": COMPRESS}
    assert scripted.post({**scripted.ask(""), **single, **shortened}).is_success
    assert scripted.post({**scripted.ask(CANARY), **single}).is_success
    assert scripted.post(scripted.ask(failing, **single)).is_error
    system = [{"role": "system", "content": f"{CANARY} " * 75}]
    assert scripted.post({**scripted.ask(""), "messages": [*system, *script]}).is_success
    redis = scripted.redis()
    names = [*redis.scan_iter(f"{keys.PREFIX}cached:*"), *redis.scan_iter(f"{keys.PREFIX}handoff*")]
    kept = b"".join(redis.get(name) or b"" for name in names)
    assert CANARY.encode() not in kept
