"""Token ids of system prompts, kept on a real server."""

import struct

from workers.caches.cache import Cache
from workers.caches.prompts import PROMPTS, Prompts

TEXT, IDS = "system\nYou are brief.", (1, 49_151, 7)


class Process:
    """The worker of a model."""

    def __init__(self, redis, model="m", hash_="aa"):
        self.hash = hash_
        cache = Cache(PROMPTS, redis, most_bytes=10**6)
        self.prompts = Prompts(cache, model, lambda: self.hash)


def test_workers_of_a_model_share_them_by_its_hash_and_the_api_key(redis):
    one, other = Process(redis), Process(redis)
    one.prompts.store("key-a", TEXT, IDS)
    assert other.prompts.get("key-a", TEXT) == IDS
    assert other.prompts.get("key-b", TEXT) is None
    assert other.prompts.get(None, TEXT) is None
    assert other.prompts.get("key-a", f"{TEXT} ") is None
    other.hash = "bb"
    assert other.prompts.get("key-a", TEXT) is None
    assert Process(redis, "n").prompts.get("key-a", TEXT) is None


def test_while_the_hash_is_not_known_nothing_is_kept(redis):
    process = Process(redis, hash_=None)
    process.prompts.store("key-a", TEXT, IDS)
    assert process.prompts.get("key-a", TEXT) is None
    assert Cache(PROMPTS, redis, most_bytes=1).size().entries == 0


def test_a_value_that_was_cut_is_a_miss(redis, monkeypatch):
    process = Process(redis)
    monkeypatch.setattr(Cache, "get", lambda *_: struct.pack("<2i", 1, 2)[:-1])
    assert process.prompts.get("key-a", TEXT) is None
