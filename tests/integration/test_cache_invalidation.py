"""The keeper drops what caches keep when it no longer holds; on a real server."""

import pytest

from workers.caches import cache as cache_module
from workers.caches.cache import Cache
from workers.caches.compressions import COMPRESSIONS
from workers.caches.handoffs import HANDOFFS
from workers.cluster.orders import Order, Orders, Target, Why
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.keeper import cache_invalidation
from workers.keeper.cache_invalidation import CacheInvalidation

MODELS = ("m", "n")


@pytest.fixture
def cache(redis, monkeypatch):
    """As a worker has it, with an entry of each model."""
    monkeypatch.setattr(cache_module, "FRESH_S", 0)
    made = Cache(COMPRESSIONS, redis, most_bytes=1_000_000)
    for model in MODELS:
        made.store("a", b"a value", model)
    return made


@pytest.fixture
def workers(redis):
    made = {}
    for model in MODELS:
        made[model] = Presence(redis, Worker(f"w-{model}", model, 1, "h", concurrency=1))
        made[model].loaded(1000, 64)
        made[model].hashed("aa")
        made[model]._beat()
    return made


@pytest.fixture
def sweep(redis, workers):
    """What a keeper does that is elected now; the first one has found all as it is."""

    def sweep(preset=""):
        CacheInvalidation(redis, preset).sweep()

    sweep()
    return sweep


def kept(cache):
    return [model for model in MODELS if cache.get("a", model)]


@pytest.mark.usefixtures("sweep")
def test_what_stays_as_it_is_keeps_its_entries(cache, sweep):
    sweep()
    assert kept(cache) == ["m", "n"]


def test_another_file_under_a_models_id_takes_its_entries(cache, sweep, workers):
    workers["m"].hashed("bb")
    workers["m"]._beat()
    sweep()
    assert kept(cache) == ["n"]
    cache.store("a", b"a value", "m")
    sweep()
    assert kept(cache) == ["m", "n"]


def test_a_model_that_is_ordered_out_of_memory_takes_its_entries(redis, cache, sweep):
    Orders(redis).give(Order("n", Target.UNLOADED, Why.ASKED, 1), None)
    sweep()
    assert kept(cache) == ["m"]
    assert b"n" not in redis.hgetall(keys.CACHED_MODELS)


def test_a_worker_that_died_or_starts_again_loses_nothing(redis, cache, sweep, workers):
    redis.delete(keys.worker("w-m"))
    redis.srem(keys.WORKERS, "w-m")
    sweep()
    assert kept(cache) == ["m", "n"]
    workers["m"]._beat()
    sweep()
    assert kept(cache) == ["m", "n"]


def test_two_workers_of_a_model_with_two_files_leave_those_of_the_known_one(redis, cache, sweep):
    other = Presence(redis, Worker("w-m-2", "m", 1, "h", concurrency=1))
    other.loaded(1000, 64)
    other.hashed("bb")
    other._beat()
    sweep()
    assert kept(cache) == ["m", "n"]


def test_another_preset_takes_all(redis, cache, sweep):
    handoffs = Cache(HANDOFFS, redis)
    handoffs.store("chatcmpl-1:1", b"{}")
    sweep("D3")
    assert kept(cache) == []
    assert handoffs.size().entries == 0
    cache.store("a", b"a value", "m")
    sweep("D3")
    assert kept(cache) == ["m"]


def test_a_full_redis_gets_the_room_back_and_running_jobs_keep_theirs(
    redis, cache, sweep, monkeypatch
):
    handoffs = Cache(HANDOFFS, redis)
    handoffs.store("chatcmpl-1:1", b"{}")
    monkeypatch.setattr(cache_invalidation.RedisMemory, "used", lambda self: 0.87)
    sweep()
    assert kept(cache) == []
    assert handoffs.size().entries == 1
