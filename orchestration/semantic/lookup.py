"""Looking an answer up before it is made, and keeping one that was made.

A lookup that does not end well is a miss, whatever the reason, and within a tenth of a second.
"""

from __future__ import annotations

import binascii
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import RedisError

from orchestration.semantic.eligibility import CacheWishes, question_of, why_not
from orchestration.semantic.fingerprint import fingerprint
from orchestration.semantic.scope import scope
from workers.caches.cache import Cache, CacheEvent
from workers.caches.semantic import MOST_CANDIDATES, SEARCH, Entry, is_id, is_vector
from workers.cluster.directory import Directory
from workers.contract.embedding import decoded
from workers.contract.errors import ContextBudgetExceeded, InferenceError, ValidationFailed
from workers.contract.events import Completed, Event, Token
from workers.contract.job import Job
from workers.contract.step import Outcome, Timings, is_answer
from workers.store.model_calls import ModelCalls

log = logging.getLogger(__name__)

#: Seconds after which a lookup is a miss.
MOST_S = 0.1
#: Seconds for which nothing is looked up after one that took too long.
PAUSE_S = 1.0
#: What rounding adds to a cosine of 1.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing was looked up, and nothing will be kept."""

    reason: str
    word = "skip"

    def describe(self) -> dict[str, Any]:
        """For `inference_metadata.cache`."""
        return {"hit": False, "skipped": self.reason}


@dataclass(frozen=True, slots=True)
class Miss:
    """Nothing was found; with what it takes to keep the answer."""

    #: None: nothing will be kept, since the lookup did not end well.
    scope: bytes | None = None
    vector: bytes = b""
    question: str = ""
    #: That of the model whose answer may be kept.
    model_hash: str = ""
    word = "miss"

    def describe(self) -> dict[str, Any]:
        """For `inference_metadata.cache`."""
        return {"hit": False}


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer, as a job's events tell it; the last one says how it was found."""

    events: tuple[Event, ...]
    word = "hit"


Lookup = Hit | Miss | Skip


class SemanticLookup:
    """Looks answers up in one front end. Safe from several threads."""

    def __init__(
        self,
        calls: ModelCalls,
        cache: Cache,
        directory: Directory,
        fresh: Directory,
        *,
        embedder: str,
        threshold: float,
        shared: bool,
    ) -> None:
        """`fresh`: a directory that asks Redis each time. `embedder`: the embedding model."""
        self._calls = calls
        self._cache = cache
        self._directory = directory
        self._fresh = fresh
        self._embedder = embedder
        self._threshold = threshold
        self._shared = shared
        #: Nothing is looked up before, by `time.monotonic`.
        self._paused_until = float("-inf")
        #: What stood in its way when that was told last.
        self._told: str | None = None

    def obstacle(self) -> str | None:
        """Why nothing is found and kept now; None: all is there.

        Raises:
            redis.RedisError: Redis is away.
        """
        if not self._cache.most_bytes:
            return "INFERENCE_CACHE_MB=0 keeps nothing"
        workers = self._directory.serving(self._embedder)
        if not workers:
            return (
                f"its embedding model {self._embedder} is not loaded: name it in "
                "INFERENCE_PRELOAD_MODELS, or inference-service load " + self._embedder
            )
        if not self._calls.are_taken(self._embedder, SEARCH):
            return f"no worker of {self._embedder} searches: it is no embedding model, or starts"
        if _hash_of(self._embedder, self._directory) is None:
            return f"the hash of {self._embedder} is not known yet"
        return None

    def look(self, job: Job, wishes: CacheWishes) -> Lookup:
        """What is there for a job whose model and mode are settled."""
        reason = why_not(job, wishes)
        if reason is not None:
            return Skip(reason)
        question = question_of(job) or ""
        words = fingerprint(question)
        if not words:
            return Skip("no_subject")
        if time.monotonic() < self._paused_until:
            return Skip("unavailable")
        began = time.monotonic()
        try:
            if self._tell(self.obstacle()) is not None:
                return Skip("unavailable")
            found = self._look(job, question, words)
        except (ContextBudgetExceeded, ValidationFailed):
            return Skip("long_question")
        except (InferenceError, RedisError) as error:
            log.debug("the semantic cache cannot be asked: %s", error)
            self._paused_until = time.monotonic() + PAUSE_S
            found = Miss()
        if isinstance(found, Hit) and time.monotonic() - began > MOST_S:
            found = Miss()
        if not isinstance(found, Skip):
            self._cache.count(CacheEvent.HIT if isinstance(found, Hit) else CacheEvent.MISS)
        return found

    def keep(self, job: Job, miss: Miss, events: Iterable[Event]) -> None:
        """Keep the answer to what was a miss, where it is whole, of the model that was meant, and
        by one worker from its beginning to its end.
        """
        events = list(events)
        last = events[-1] if events else None
        if miss.scope is None or not isinstance(last, Completed):
            return
        outcome = last.outcome
        whole = outcome.finish_reason == "stop" and outcome.attempt == 1 and last.report is None
        if not whole or outcome.model_hash != miss.model_hash or outcome.model != job.model:
            return
        pieces = tuple(
            (event.reasoning, event.text)
            for event in events
            if isinstance(event, Token)
            and is_answer(event.step)
            and (event.text or event.reasoning)
        )
        entry = Entry(
            miss.scope, miss.vector, miss.question, pieces, outcome.to_dict(), time.time()
        )
        self._cache.store(entry.id, entry.encode(), job.model)

    def _tell(self, obstacle: str | None) -> str | None:
        """Log what stands in its way, once."""
        if obstacle != self._told:
            self._told = obstacle
            if obstacle is None:
                log.info("the semantic cache is on")
            else:
                log.warning("the semantic cache is off: %s", obstacle)
        return obstacle

    def _look(self, job: Job, question: str, words: Sequence[str]) -> Lookup:
        model_hash = _hash_of(job.model, self._directory)
        embedder_hash = _hash_of(self._embedder, self._directory)
        if model_hash is None or embedder_hash is None:
            return Skip("hash_unknown")
        digest = scope(job, words, model_hash, embedder_hash, shared=self._shared)
        asked = {"text": question, "scope": digest.hex(), "threshold": self._threshold}
        answer = self._calls.call(self._embedder, SEARCH, asked, MOST_S)
        vector, candidates = _read(answer, self._threshold)
        if vector is None:
            return Miss()
        for id_, similarity in candidates:
            raw = self._cache.read(id_, job.model)
            entry = None if raw is None else Entry.decode(raw)
            if entry is None or entry.scope != digest or entry.id != id_:
                continue
            events = _events(entry, similarity)
            if events is None:
                continue
            # Files may have changed since the directory was read.
            if _hash_of(job.model, self._fresh) != model_hash:
                return Miss()
            return Hit(events)
        return Miss(digest, vector, question, model_hash)


def _hash_of(model: str, directory: Directory) -> str | None:
    """The hash of a model, where all workers that serve it have the same in memory."""
    hashes = {worker.model_hash for worker in directory.serving(model)}
    return hashes.pop() if len(hashes) == 1 else None


def _read(
    answer: Mapping[str, Any], threshold: float
) -> tuple[bytes | None, list[tuple[str, float]]]:
    """The vector and the candidates of an answer; it is looked at as a stranger's."""
    candidates: list[tuple[str, float]] = []
    match answer:
        case {"vector": str(vector), "candidates": list(given)}:
            for each in given[:MOST_CANDIDATES]:
                match each:
                    case [str(member), float(cosine)] if threshold <= cosine <= 1 + _ROUNDING:
                        id_ = member.rpartition("|")[2]
                        if is_id(id_):
                            candidates.append((id_, min(1.0, cosine)))
            try:
                numbers = decoded(vector)
            except (binascii.Error, ValueError):
                return None, []
            return (numbers, candidates) if is_vector(numbers) else (None, [])
    return None, []


def _events(entry: Entry, similarity: float) -> tuple[Event, ...] | None:
    """The answer as its own job would have told it; nothing of it took time now. None: its outcome
    is one of a version that this one cannot read.
    """
    try:
        outcome = Outcome.from_dict(entry.outcome)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.debug("an entry of the semantic cache has an outcome that cannot be read: %s", error)
        return None
    outcome = replace(outcome, timings=Timings(), usage=replace(outcome.usage, cached=True))
    tokens = [
        Token(number, outcome.step, outcome.attempt, (), text, reasoning)
        for number, (reasoning, text) in enumerate(entry.pieces, start=2)
    ]
    found = {
        "hit": True,
        "similarity": round(similarity, 4),
        "age_s": round(max(0.0, time.time() - entry.created), 1),
        "question": entry.question,
    }
    return (*tokens, Completed(len(tokens) + 2, outcome, cache=found))
