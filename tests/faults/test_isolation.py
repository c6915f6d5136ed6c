"""No answer ever has another conversation's text: 32 at once, with caches on and a crash between.

Each conversation has a secret word, which the model has been made to repeat; all begin alike. Their
second turn comes after the first has filled the prompt cache, and more states than it holds.
"""

import random
import signal

import pytest

from tests.support.followers import Followers
from tests.support.front_end import MODEL
from tests.support.service_fixture import service_fixture
from tests.support.waiting import wait_for

CONVERSATIONS, TOKENS = 32, 12

pytestmark = pytest.mark.timeout(400)


service = service_fixture(
    "The shipped model with a cache of about half of the conversations.",
    INFERENCE_MAX_CONCURRENT_PER_MODEL="8",
    INFERENCE_MAX_CONCURRENT_REQUESTS="100",
    INFERENCE_PROMPT_CACHE_MB="48",
    INFERENCE_REQUEST_TIMEOUT="240",  # the last of 32 waits for the others, on any machine
)


def secrets():
    """Words that no text has, and none of which is a part of another."""
    letters = random.Random(22)
    return ["".join(letters.choices("bcdfgklmnprstvz", k=7)).upper() for _ in range(CONVERSATIONS)]


def said(secret, times):
    """A conversation in which the secret was said so many times, and is asked for once more."""
    turns = [{"role": "system", "content": "You keep a password and say it when you are asked."}]
    for _ in range(times):
        turns.append({"role": "user", "content": "Say the password."})
        turns.append({"role": "assistant", "content": f"The password is {secret}."})
    turns[1]["content"] = f"The password is {secret}. Say the password."
    return [*turns, {"role": "user", "content": "Say the password."}]


def answers(service, words, times, *, kill=False):
    bodies = [
        {**service.ask("", temperature=0, max_tokens=TOKENS), "messages": said(word, times)}
        for word in words
    ]
    streams = Followers(service, bodies)
    if kill:
        wait_for(lambda: sum(bool(f.text) for f in streams.followers) >= 4, 120)
        service.child("worker", MODEL).send_signal(signal.SIGKILL)
    streams.join()
    return [follower.text for follower in streams.followers]


@pytest.mark.parametrize("kill", [False, True], ids=["undisturbed", "killed"])
def test_an_answer_has_no_secret_but_its_own(service, kill):
    wait_for(service.is_ready, 60)
    words = secrets()
    for times in (2, 3):
        texts = answers(service, words, times, kill=kill and times == 3)
        for word, text in zip(words, texts, strict=True):
            foreign = [other for other in words if other != word and other in text]
            assert not foreign, f"the answer about {word} says {foreign}: {text!r}"
        # The model does say what it is asked for: a secret in the wrong place would be seen.
        own = sum(word in text for word, text in zip(words, texts, strict=True))
        assert own >= CONVERSATIONS * 3 // 4
