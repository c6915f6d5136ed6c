"""Many clients at once, each of which checks the seams of its stream."""

import threading

import httpx

from tests.support.jobs import frames
from tests.support.waiting import wait_for

#: How long a stream may take over everything that happens to it; vLLM alone loads for a minute.
WHOLE_WITHIN_S = 400
WORDS = 200
TEXT = " ".join(f"w{number}" for number in range(WORDS))
#: A script whose text takes five seconds where nothing goes wrong.
SPOKEN = {"text": TEXT, "tokens_per_s": 40}


class Follower:
    """One client of a streamed chat completion; goes on at the job's events when it is cut off."""

    def __init__(self, service, body):
        self._service = service
        self._body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        self.text = ""
        self.job_id = None
        #: Number of the last frame with text; each must be higher than the one before.
        self.last_seq = 0
        self.usage = None
        self.finish_reason = None
        #: How often it had to come again.
        self.resumed = 0
        self.problem = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def join(self):
        """Wait for its end; raises what went wrong."""
        self._thread.join(WHOLE_WITHIN_S)
        assert not self._thread.is_alive(), f"{self.job_id} hangs after {len(self.text)} characters"
        if self.problem is not None:
            raise self.problem

    def _run(self):
        try:
            try:
                self._ask()
            except httpx.TransportError:
                if self.job_id is None:
                    raise
            while self.finish_reason is None:
                self.resumed += 1
                self._resume()
        except BaseException as problem:
            self.problem = problem

    def _ask(self):
        url = f"{self._service.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=self._body, timeout=WHOLE_WITHIN_S) as answer:
            if answer.status_code != 200:
                raise AssertionError(answer.read())
            for seq, _, frame in frames(answer):
                assert "error" not in frame, frame
                self.job_id = frame["id"]
                for choice in frame["choices"]:
                    self._take(seq, choice["delta"].get("content"))
                    self.finish_reason = choice["finish_reason"] or self.finish_reason
                self.usage = frame.get("usage") or self.usage

    def _resume(self):
        """Read on at the job's events after the last one seen, once somebody answers."""
        wait_for(self._service.is_ready, 60)
        url = f"{self._service.url}/v1/jobs/{self.job_id}/events"
        headers = {"Last-Event-ID": str(self.last_seq)}
        try:
            with httpx.stream("GET", url, headers=headers, timeout=WHOLE_WITHIN_S) as answer:
                assert answer.status_code == 200, answer.read()
                for seq, kind, event in frames(answer):
                    if kind == "token":
                        self._take(seq, event["text"])
                    elif kind == "completed":
                        self.finish_reason = event["outcome"]["finish_reason"]
                        self.usage = event["outcome"]["usage"]
                    else:
                        assert kind == "started", event
        except httpx.TransportError:
            return

    def _take(self, seq, text):
        if text:
            assert seq > self.last_seq, f"{seq} comes after {self.last_seq}"
            self.text += text
            self.last_seq = seq


class Followers:
    """Followers that are all in the middle of their streams at once."""

    def __init__(self, service, bodies):
        self.followers = [Follower(service, body) for body in bodies]
        for follower in self.followers:
            follower.start()

    def await_text(self, characters, within_s=60):
        """Wait until every stream has so much more text than now."""
        goals = [len(follower.text) + characters for follower in self.followers]
        wait_for(
            lambda: all(
                follower.problem or len(follower.text) >= goal
                for follower, goal in zip(self.followers, goals, strict=True)
            ),
            within_s,
        )

    def join(self):
        for follower in self.followers:
            follower.join()

    def assert_whole(self):
        """Wait for the end: each text is `TEXT`, as if nothing had happened, each token counted
        once."""
        self.join()
        for follower in self.followers:
            assert follower.text == TEXT
            assert follower.finish_reason == "stop"
            assert follower.usage["completion_tokens"] == WORDS
