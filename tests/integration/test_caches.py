"""Caches on a real server: what they keep, for how long, and how they lose it."""

import threading

import pytest
import redis as redis_py

from workers.caches import cache as cache_module
from workers.caches import kind as kind_module
from workers.caches.cache import Cache, CacheEvent, CacheSize, all_of
from workers.caches.handoffs import HANDOFFS, Handoffs
from workers.caches.kind import CacheKind, kinds, register
from workers.contract import keys

KIND = CacheKind("toys", "What a test keeps.", ttl_s=60, front_bytes=100_000)
MOST = 1_000_000


class Counts(dict):
    """How often what happened."""

    def __call__(self, name, event, times):
        self[event] = self.get(event, 0) + times


@pytest.fixture
def counts():
    return Counts()


@pytest.fixture
def process(redis, counts):
    """Makes a cache as each process has one."""

    def process(kind=KIND, **options):
        return Cache(kind, redis, **{"most_bytes": MOST, "count": counts, **options})

    return process


@pytest.fixture
def asks_always(monkeypatch):
    """A front that is never trusted without a look at Redis."""
    monkeypatch.setattr(cache_module, "FRESH_S", 0)


def test_what_one_process_keeps_another_has(process, counts):
    one, other = process(), process()
    assert one.get("a", "m") is None
    one.store("a", b"a value", "m")
    assert one.get("a", "m") == other.get("a", "m") == b"a value"
    assert other.get("a", "another model") is None
    assert counts == {CacheEvent.MISS: 2, CacheEvent.HIT: 2, CacheEvent.EVICTION: 0}


def test_an_entry_lives_as_long_as_its_kind_says_at_most(process, redis):
    cache = process()
    cache.store("a", b"1")
    cache.store("b", b"2", ttl_s=30)
    cache.store("c", b"3", ttl_s=10_000)
    left = {name: redis.pttl(f"{keys.PREFIX}cached:toys:{name}") for name in "abc"}
    assert 30_000 < left["a"] <= 60_000
    assert 0 < left["b"] <= 30_000
    assert left["c"] <= 60_000


def test_what_has_expired_is_gone_from_the_count(process, redis):
    cache = process()
    cache.store("a", b"1")
    cache.store("b", b"2")
    redis.delete(f"{keys.PREFIX}cached:toys:a")  # as its time would
    redis.zadd(f"{keys.PREFIX}cache:toys:expires", {"|a": 1})
    assert cache.size().entries == 1
    assert process().get("a") is None
    assert process().get("b") == b"2"


@pytest.mark.usefixtures("asks_always")
def test_the_entry_that_was_used_longest_ago_makes_room(process, redis, counts):
    cache = process(most_bytes=3 * 1400)
    for number, name in enumerate("abc"):
        cache.store(name, b"x" * 1000)
        redis.zadd(f"{keys.PREFIX}cache:toys", {f"|{name}": number})
    assert cache.get("a") is not None  # now it is b's turn
    cache.store("d", b"x" * 1000)
    assert [name for name in "abcd" if process().get(name)] == ["a", "c", "d"]
    assert counts[CacheEvent.EVICTION] == 1
    assert cache.size().size_bytes <= 3 * 1400
    cache.store("large", b"x" * 5000)
    assert process().get("large") is None
    assert cache.size().entries == 3


def test_a_cache_has_so_many_entries_at_most(process, monkeypatch):
    monkeypatch.setattr(cache_module, "MOST_ENTRIES", 3)
    cache = process()
    for number in range(10):
        cache.store(str(number), b"x")
    assert cache.size().entries == 3


def test_what_is_stored_again_counts_once(process):
    cache = process()
    cache.store("a", b"x" * 1000)
    before = cache.size()
    cache.store("a", b"y" * 1000)
    assert cache.size() == before
    assert process().get("a") == b"y" * 1000


@pytest.mark.parametrize("broken", [b"", b"x", b"x" * 17, lambda whole: whole[:-1]])
def test_a_broken_value_is_a_miss(process, redis, broken):
    process().store("a", b"a value")
    name = f"{keys.PREFIX}cached:toys:a"
    redis.set(name, broken(redis.get(name)) if callable(broken) else broken)
    assert process().get("a") is None


def test_a_value_in_anothers_place_is_a_miss(process, redis):
    process().store("a", b"a value", "m")
    process().store("b", b"another", "m")
    name = f"{keys.PREFIX}cached:toys"
    redis.set(f"{name}:m|b", redis.get(f"{name}:m|a"))
    assert process().get("b", "m") is None


@pytest.mark.usefixtures("asks_always")
@pytest.mark.parametrize("drop", [lambda c: c.clear(), lambda c: c.invalidate_by_model("m")])
def test_what_one_process_drops_all_have_lost(process, drop):
    one, other = process(), process()
    one.store("a", b"a value", "m")
    one.store("b", b"another", "n")
    assert other.get("a", "m") == b"a value"
    assert drop(one)
    assert one.get("a", "m") is other.get("a", "m") is None


@pytest.mark.usefixtures("asks_always")
def test_a_model_takes_its_own_entries_with_it_alone(process):
    one, other = process(), process()
    for model in ("m", "m2", ""):
        one.store("a", b"a value", model)
    one.store("b", b"a value", "m")
    assert one.invalidate_by_model("m") == 2
    assert other.get("a", "m2") == b"a value"
    assert other.get("b", "m") is None
    assert other.clear() == 2
    assert one.size() == CacheSize(0, 0)


def test_a_front_is_trusted_for_a_moment_and_asks_then(process, redis, monkeypatch):
    one, other = process(), process()
    one.store("a", b"a value")
    assert one.get("a") == b"a value"
    other.clear()
    monkeypatch.setattr(cache_module, "FRESH_S", 0)
    assert one.get("a") is None


def test_without_redis_everything_is_a_miss(tmp_path):
    away = redis_py.Redis(unix_socket_path=str(tmp_path / "none"))
    cache = Cache(KIND, away, most_bytes=MOST)
    cache.store("a", b"a value")
    assert cache.get("a") is None
    handoffs = Handoffs(Cache(HANDOFFS, away))
    handoffs.store("chatcmpl-1", 1, {})
    assert handoffs.get("chatcmpl-1", 1) is None
    with pytest.raises(redis_py.RedisError):
        cache.clear()


def test_a_cache_that_may_take_nothing_keeps_nothing(process):
    cache = process(most_bytes=0)
    cache.store("a", b"a value")
    assert cache.get("a") is None
    assert cache.size().entries == 0


def test_values_of_a_stranger_server_do_no_harm(process, redis):
    """What another program wrote under these names is another type, or too much."""
    redis.hset(f"{keys.PREFIX}cached:toys:a", "x", "y")
    assert process().get("a") is None
    process().store("a", b"a value")
    assert process().get("a") == b"a value"


def test_many_threads_share_a_cache(process):
    cache = process(most_bytes=20_000)
    wrong = []

    def work(number):
        for at in range(50):
            name = str((number + at) % 20)
            cache.store(name, name.encode() * 200)
            if cache.get(name) not in (None, name.encode() * 200):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert cache.size().size_bytes <= 20_000


def test_every_module_that_defines_a_cache_is_found_and_one_of_a_test(redis, monkeypatch):
    monkeypatch.setattr(kind_module, "_REGISTERED", dict(kind_module._REGISTERED))
    register(KIND)
    assert {"handoffs", "toys"} <= set(kinds())
    assert all_of(redis, MOST)["toys"].most_bytes == MOST


def test_a_handoff_that_was_cut_is_a_miss(redis):
    handoffs = Handoffs(Cache(HANDOFFS, redis))
    for raw in (b"{", b"\xff", b"[" * 10_000):
        redis.set(keys.handoff("chatcmpl-1", 1), raw)
        assert handoffs.get("chatcmpl-1", 1) is None
