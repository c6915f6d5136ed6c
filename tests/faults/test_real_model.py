"""The shipped model: every token that was logged before a crash stays, the rest is what greedy
decoding would have said."""

import json
import signal

import pytest

from tests.support.followers import Followers
from tests.support.front_end import MODEL
from tests.support.llamacpp_reference import Reference
from tests.support.service_fixture import service_fixture
from tests.support.waiting import wait_for
from workers.contract.job import Message

STREAMS, ROUNDS, TOKENS = 8, 4, 48
#: Answers that go on to their limit: none has ended when the last of them begins.
PROMPTS = [
    f"Tell me a long story about a ship that sails to {country}."
    for country in ("France", "Italy", "Spain", "Japan", "Egypt", "Peru", "Kenya", "Norway")
]

pytestmark = pytest.mark.timeout(400)


service = service_fixture(
    "The shipped model, one place for each stream; long prompts go to the disk.",
    INFERENCE_MAX_CONCURRENT_PER_MODEL=str(STREAMS),
    INFERENCE_PROMPT_CACHE_DISK_MB="1000",
)


@pytest.fixture(scope="module")
def reference(service):
    (weights,) = sorted(service.data_dir.glob("cache/**/*.gguf"))
    reference = Reference(weights)
    yield reference
    reference.close()


def logged(service, job_id):
    """(attempt, token ids) of each token event of a job."""
    text = service.get(f"/v1/jobs/{job_id}/events").text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    return [(e["attempt"], e["token_ids"]) for e in events if e["type"] == "token"]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_killed_worker_changes_no_token_and_the_rest_is_greedy(service, reference, round_):
    wait_for(service.is_ready, 60)
    bodies = [service.ask(prompt, temperature=0, max_tokens=TOKENS) for prompt in PROMPTS]
    streams = Followers(service, bodies)
    streams.await_text(8, within_s=60)
    service.child("worker", MODEL).send_signal(signal.SIGKILL)
    streams.join()
    for follower, prompt in zip(streams.followers, PROMPTS, strict=True):
        tokens = logged(service, follower.job_id)
        attempts = [attempt for attempt, _ in tokens]
        assert attempts == sorted(attempts)
        assert set(attempts) == {1, 2}
        ids = [token for _, some in tokens for token in some]
        assert follower.usage["completion_tokens"] in (len(ids), len(ids) + 1)  # the end's token
        assert follower.finish_reason in ("length", "stop")
        messages = [Message("user", prompt)]
        reference.assert_greedy(messages, ids, of_other_shape=True)  # eight at once
        assert follower.text == reference.text(ids)


def test_an_answer_behind_a_long_prompt_goes_on_without_reading_it_again(service):
    """Whose worker is killed, in the middle of it. Then so does the conversation."""
    wait_for(service.is_ready, 60)
    asked = [{"role": "user", "content": "One ship, two ships, three ships. " * 100}]
    body = {**service.ask("", temperature=0, max_tokens=TOKENS), "messages": asked}
    streams = Followers(service, [body])
    streams.await_text(4, within_s=120)
    wait_for(lambda: list(service.data_dir.glob("cache/prompts/*/*.prompt")), 60)
    service.child("worker", MODEL).send_signal(signal.SIGKILL)
    streams.join()
    (follower,) = streams.followers
    read = follower.usage["prompt_tokens"]
    assert follower.usage["prompt_tokens_details"]["cached_tokens"] > read - 64
    wait_for(service.is_ready, 60)
    service.child("worker", MODEL).send_signal(signal.SIGKILL)
    wait_for(service.is_ready, 60)
    asked += [
        {"role": "assistant", "content": follower.text},
        {"role": "user", "content": "And then?"},
    ]
    answer = service.post({**body, "messages": asked}).json()
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] > read - 64
