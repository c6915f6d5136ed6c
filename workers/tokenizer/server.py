"""What the tokenizer's process does: it takes calls from Redis, counts, and answers."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import keys
from workers.contract.tokenizing import TokenizerCall
from workers.engines.base import GenerationRequest
from workers.engines.model_tokenizer import ModelTokenizer
from workers.engines.time_budget import BUDGET_S, TimeBudget
from workers.store.call_server import CallServer
from workers.store.calls import Calls
from workers.store.tokenizer_calls import SERVICE, TokenizerReply
from workers.tokenizer.loaded import LoadedTokenizers

log = logging.getLogger(__name__)

#: Calls at once: a long text holds one thread, and the rest goes on in the others.
THREADS = 4
#: Seconds without a call after which the process ends; the next call starts it again.
IDLE_S = 600.0
_WAIT_S = 1
_PAUSE_S = 0.5
#: Counts of texts that are remembered by their hash: a goal is counted anew in every round.
_MOST_COUNTS = 4096


class Counter:
    """Answers single calls. Safe from several threads."""

    def __init__(self, tokenizers: LoadedTokenizers) -> None:
        self._tokenizers = tokenizers
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, call: TokenizerCall) -> TokenizerReply:
        """What is asked for.

        Raises:
            ModelLoadFailed: the model has no tokenizer here.
            ValidationFailed: the template refuses the messages, or an id is no token.
            TimeBudgetExceeded: it took too long.
        """
        tokenizer, budget = self._tokenizers.of(call.model), TimeBudget()
        if call.token_ids is not None:
            return TokenizerReply((len(call.token_ids),), tokenizer.text_of(call.token_ids))
        counts = self._counted(call, call.texts or (), tokenizer, budget)
        if call.texts is not None and not call.messages:
            return TokenizerReply(counts)
        if call.prompt is not None:
            ids = tokenizer.of_text(call.prompt, budget, add_special=call.add_special)
        else:
            request = GenerationRequest("", call.messages, template=call.template, tools=call.tools)
            ids = tokenizer.of_messages(request, budget)
        written = json.dumps(ids, separators=(",", ":")).encode() if call.wants_ids else b"[]"
        return TokenizerReply((len(ids), *counts), token_ids=written)

    def _counted(
        self,
        call: TokenizerCall,
        texts: Sequence[str],
        tokenizer: ModelTokenizer,
        budget: TimeBudget,
    ) -> tuple[int, ...]:
        """The tokens of each text; one that was counted is not counted again."""
        counts = []
        for text in texts:
            budget.check()
            digest = hashlib.blake2b(
                text.encode(errors="replace"), key=call.model.encode()[:64], digest_size=16
            ).digest()
            with self._lock:
                count = self._counts.get(digest)
            if count is None:
                count = tokenizer.count(text)
                with self._lock:
                    self._counts[digest] = count
                    while len(self._counts) > _MOST_COUNTS:
                        self._counts.popitem(last=False)
            counts.append(count)
        return tuple(counts)


class TokenizerServer:
    """Takes calls on several threads until nobody asks, or it is stopped."""

    def __init__(self, redis: Redis, counter: Counter, *, idle_s: float = IDLE_S) -> None:
        """`redis`: a client with a connection for each thread. `idle_s`: see `IDLE_S`."""
        self._counter = counter
        self._idle_s = idle_s
        self._ended = threading.Event()
        self._beats = _Beats(redis)
        queues = [keys.TOKENIZER_URGENT, keys.TOKENIZER_CALLS]
        self._calls = CallServer(
            Calls(redis, SERVICE), queues, self._answer, name="tokenizer", threads=THREADS
        )

    def run(self) -> None:
        """Serve; returns when nobody has asked for a while, or `stop` was called."""
        self._beats.start()
        self._calls.start()
        while not self._ended.wait(_WAIT_S):
            if time.monotonic() - self._calls.used_at > self._idle_s:
                log.info("nobody counts tokens: the tokenizer ends until it is needed")
                break
        self.stop()

    def stop(self) -> None:
        """Take no further call; those that run are answered. Safe to call twice."""
        self._ended.set()
        self._beats.stop()
        self._calls.stop(BUDGET_S)

    def _answer(self, body: bytes) -> bytes:
        return self._counter.answer(TokenizerCall.from_dict(json.loads(body))).encode()


class _Beats(BackgroundThread):
    """Says that this tokenizer lives, and which one it is."""

    def __init__(self, redis: Redis) -> None:
        super().__init__("tokenizer-beats", ends_within_s=_WAIT_S)
        self._redis = redis
        self._id = f"{os.getpid()}-{time.time_ns()}"

    def _run(self) -> None:
        while True:
            try:
                self._redis.set(keys.TOKENIZER, self._id, px=keys.PRESENCE_TTL_MS)
            except RedisError as error:
                log.warning("Redis is unavailable: %s", error)
            if self._ending.wait(_PAUSE_S):
                break
        try:
            self._redis.delete(keys.TOKENIZER)
        except RedisError:
            return
