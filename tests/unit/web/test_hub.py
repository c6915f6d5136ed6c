"""A reader of a job's events, on what the hub receives and the job's stream has."""

import json

from web.live import hub
from web.live.hub import MOST_ARRIVED, Reader
from workers.contract import events
from workers.contract.events import Token

COUNT = 3 * MOST_ARRIVED


def test_a_slow_reader_costs_little_and_misses_nothing(monkeypatch):
    stored = [Token(seq, "answer", 1, (seq,), "word ") for seq in range(1, COUNT + 1)]
    looks = []

    def read_events(_redis, _job_id, after):
        looks.append(after)
        return stored[after:]

    monkeypatch.setattr(hub, "read_events", read_events)
    reader = Reader(None, "chatcmpl-1", 0)
    for event in stored:
        published = {**json.loads(events.encode(event)), "seq": event.seq}
        reader.put(json.dumps(published).encode())
    read = reader.batch(5)
    assert looks == []
    assert len(read) == MOST_ARRIVED
    while len(read) < COUNT:
        read += reader.batch(5)
    assert read == stored
    assert looks == [MOST_ARRIVED]
