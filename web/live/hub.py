"""Live events: one subscriber connection per web process, and readers that cannot hang.

A reader trusts the channel for speed and the stream for truth: it reads the stream again after a
gap in the numbers, after every new subscription, and whenever nothing came for a while.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from workers.background import BackgroundThread
from workers.contract import events, keys
from workers.contract.events import TERMINAL, Event, Heartbeat
from workers.store.token_log import read_events

log = logging.getLogger(__name__)

#: A reader to whom nothing came for this long looks into the stream.
IDLE_S = 1.0
_RECONNECT_PAUSE_S = 0.2
#: How long the hub's thread waits for a message before it looks whether it has to end.
_POLL_S = 1.0
#: Events that are kept for a reader that is slow; it reads those after them from the job's stream.
MOST_ARRIVED = 1000


class Reader:
    """One job's events, in order, each once."""

    def __init__(self, redis: Redis, job_id: str, after_seq: int) -> None:
        self._redis = redis
        self._job_id = job_id
        #: Number of the last event given out.
        self.seq = after_seq
        #: Published events; None where the channel may have missed some.
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ready: deque[Event] = deque()
        self._ended = False
        self._left = False
        #: This front end ends, and nobody has left.
        self.stopped = False
        #: The job was deleted, or its time is over: nothing comes any longer.
        self.gone = False

    def leave(self) -> None:
        """Let `batch` wait no longer: nobody reads what it would bring."""
        self._left = True
        self._arrived.put(None)

    def stop(self) -> None:
        """The same, because this front end ends: the job is read on elsewhere."""
        self.stopped = True
        self.leave()

    def put(self, raw: bytes | None) -> None:
        """Take what the hub received, unless the reader is far behind."""
        if self._arrived.qsize() < MOST_ARRIVED:
            self._arrived.put(raw)

    def batch(self, timeout_s: float) -> list[Event]:
        """Every event that is there by now; after `timeout_s` without any, one Heartbeat.

        Waits at most `timeout_s`, and not at all after the terminal event, after `leave`, or once
        the job is gone.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ready and not (self._ended or self._left or self.gone):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return [Heartbeat(self.seq)]
            self._receive(min(left_s, IDLE_S))
        while not self._arrived.empty():
            self._receive(0)
        batch = list(self._ready)
        self._ready.clear()
        return batch

    def _receive(self, timeout_s: float) -> None:
        try:
            raw = self._arrived.get(timeout=timeout_s) if timeout_s else self._arrived.get_nowait()
        except queue.Empty:
            raw = None
        if raw is None:
            self._read_stream()
            return
        event = events.decode(raw)
        if event.seq == self.seq + 1:
            self._accept(event)
        elif event.seq > self.seq:
            self._read_stream()

    def _read_stream(self) -> None:
        try:
            missed = read_events(self._redis, self._job_id, self.seq)
            self.gone = not missed and not self._redis.exists(keys.events(self._job_id))
        except RedisError as error:
            log.debug("the stream of %s cannot be read yet: %s", self._job_id, error)
            return
        for event in missed:
            self._accept(event)

    def _accept(self, event: Event) -> None:
        if event.seq > self.seq and not self._ended:
            self.seq = event.seq
            self._ready.append(event)
            self._ended = isinstance(event, TERMINAL)


class Hub(BackgroundThread):
    """Receives every job's events on one connection and hands them to their readers."""

    def __init__(self, redis: Redis) -> None:
        super().__init__("hub")
        self._redis = redis
        self._readers: dict[str, tuple[Reader, ...]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def reader(self, job_id: str, after_seq: int = 0) -> Iterator[Reader]:
        """A reader of one job's events after `after_seq`."""
        reader = self.register(job_id, after_seq)
        try:
            yield reader
        finally:
            self.unregister(job_id, reader)

    def register(self, job_id: str, after_seq: int = 0) -> Reader:
        """A reader that gets events until `unregister`."""
        reader = Reader(self._redis, job_id, after_seq)
        with self._lock:
            self._readers[job_id] = (*self._readers.get(job_id, ()), reader)
        return reader

    def unregister(self, job_id: str, reader: Reader) -> None:
        """Let go of a reader."""
        with self._lock:
            left = tuple(other for other in self._readers.get(job_id, ()) if other is not reader)
            if left:
                self._readers[job_id] = left
            else:
                self._readers.pop(job_id, None)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._receive()
            except RedisError as error:
                log.warning("live events: Redis is unavailable: %s", error)
                self._ending.wait(_RECONNECT_PAUSE_S)

    def _receive(self) -> None:
        with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.psubscribe(keys.LIVE_PATTERN)
            pubsub.get_message(timeout=_POLL_S)
            self._let_all_read_streams()
            while not self._ending.is_set():
                message = pubsub.get_message(timeout=_POLL_S)
                if message is not None:
                    job_id = keys.job_of_live(message["channel"].decode())
                    for reader in self._readers.get(job_id, ()):
                        reader.put(message["data"])

    def _let_all_read_streams(self) -> None:
        with self._lock:
            readers = [reader for group in self._readers.values() for reader in group]
        for reader in readers:
            reader.put(None)
