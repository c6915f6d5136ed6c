"""The counts of several processes, and the state of a real Valkey."""

import re
import socket
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisAway

from tests.support.front_end import free_port
from tests.support.metrics import Scrape
from tests.support.stored_job import REQUEST, stored_job
from workers.cluster.directory import Directory
from workers.cluster.presence import Presence, Worker
from workers.contract import keys
from workers.contract.engine_use import EngineUse
from workers.metrics import reporter as reporter_module
from workers.metrics import scrape_port
from workers.metrics.exposition import Exposition
from workers.metrics.instruments import FIRST_TOKEN, INSTRUMENTS, LOST_STEPS, TOKENS, Kind
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.reporter import MetricsReporter
from workers.store.leases import Leases

OBSERVE = Path(__file__).parents[2] / "docs/OBSERVE.md"


class Process:
    """One that counts tokens."""

    def __init__(self, redis):
        self.metrics = ProcessMetrics()
        self.reporter = MetricsReporter(redis, self.metrics)

    def count(self, tokens):
        self.metrics.count(TOKENS, "m", "output", amount=tokens)


def shown(redis, models=("m",)):
    text, _ = Exposition(redis, Directory(redis, ttl_s=0), models).text("")
    return Scrape(text.decode())


def output_tokens(redis):
    return shown(redis).value("inference_tokens_total", model="m", type="output")


def test_counts_of_processes_add_up_and_outlive_them(redis):
    one, other = Process(redis), Process(redis)
    one.count(3)
    other.count(4)
    one.reporter.start()
    one.reporter.stop()  # tells what it has before it ends
    other.reporter.report()
    other.count(5)
    assert output_tokens(redis) == 7
    other.reporter.report()
    other.reporter.report()
    assert output_tokens(redis) == 12


def test_a_report_whose_answer_was_lost_is_added_once(redis, monkeypatch):
    process = Process(redis)
    real = reporter_module.run

    def answer_lost(*arguments):
        real(*arguments)
        raise RedisAway

    process.count(3)
    monkeypatch.setattr(reporter_module, "run", answer_lost)
    with pytest.raises(RedisAway):
        process.reporter.report()
    monkeypatch.setattr(reporter_module, "run", real)
    process.count(2)
    process.reporter.report()
    assert output_tokens(redis) == 3
    process.reporter.report()
    assert output_tokens(redis) == 5


def test_buckets_that_nothing_fell_into_are_there(redis):
    process = Process(redis)
    process.metrics.observe(FIRST_TOKEN, "chat", "p", "m", value=0.5)
    process.reporter.report()
    counts = [
        sample.value
        for sample in shown(redis).samples
        if sample.name == f"{FIRST_TOKEN.name}_bucket"
    ]
    below = sum(bound < 0.5 for bound in FIRST_TOKEN.buckets)
    assert counts == [0] * below + [1] * (len(FIRST_TOKEN.buckets) + 1 - below)


def test_what_only_another_version_counts_is_left_alone(redis):
    redis.hset(
        keys.METRICS, mapping={'["newer","total","x"]': 1, '["inference_tokens","total"]': 1}
    )
    assert output_tokens(redis) == 0


def test_there_is_a_bound_for_all_series_together(redis, monkeypatch, caplog):
    monkeypatch.setattr(reporter_module, "MOST_SERIES", 10)
    process = Process(redis)
    for number in range(12):
        process.metrics.count(LOST_STEPS, f"x{number}")
    process.reporter.report()
    assert redis.hlen(keys.METRICS) == 10
    assert "2 series are left out" in caplog.text


def test_queues_show_their_depth_and_since_when_the_oldest_waits(redis):
    stored_job(redis)
    redis.hincrby(keys.job(REQUEST.job_id), f"{REQUEST.step}:added_ms", -60_000)
    found = shown(redis)
    waits = {"model": "m", "priority": "normal"}
    assert found.value("inference_queue_depth", **waits) == 1
    assert 60 <= found.value("inference_queue_oldest_seconds", **waits) < 600
    assert found.value("inference_queue_depth", model="m") == 1
    Leases(redis, "w").take(REQUEST)
    found = shown(redis)
    assert found.value("inference_queue_depth", model="m") == 0
    assert found.value("inference_running_steps", model="m") == 1


def test_models_that_the_catalogue_does_not_have_are_not_shown(redis):
    redis.sadd(keys.MODELS, *(f"x{number}" for number in range(100)))
    labels = {sample.labels.get("model") for sample in shown(redis).samples}
    assert labels <= {None, "orchestration", "m"}


def test_what_engines_use_is_the_sum_over_the_workers_of_a_model(redis):
    presences = []
    for number in range(2):
        worker = Worker(f"w{number}", "m", pid=1, host="h", concurrency=4)
        presence = Presence(redis, worker)
        presence.loaded(memory_bytes=1000, context_length=64)
        presence.tell_use(lambda: EngineUse(rows=2, kv_cells=30, most_kv_cells=100))
        presence._beat()
        presences.append(presence)
    found = shown(redis)
    expected = {
        "inference_batch_rows": 4,
        "inference_kv_cells": 60,
        "inference_kv_cells_limit": 200,
        "inference_prompt_cache_bytes": 0,
        "inference_model_memory_bytes": 2000,
        "inference_model_concurrency": 8,
    }
    assert {name: found.value(name, model="m") for name in expected} == expected
    assert found.value("inference_workers", model="m", status="loaded") == 2


def test_while_redis_is_away_nothing_is_shown_that_could_fall():
    away = SimpleNamespace(hgetall=_away)
    text, _ = Exposition(away, Directory(away), ()).text("")
    assert [(sample.name, sample.value) for sample in Scrape(text.decode()).samples] == [
        ("inference_redis_up", 0)
    ]


def _away(*_):
    raise RedisAway


def test_openmetrics_is_spoken_to_who_asks_for_it(redis):
    text, media_type = Exposition(redis, Directory(redis), ()).text("application/openmetrics-text")
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_a_worker_shows_its_own_metrics_at_its_port(caplog):
    metrics = ProcessMetrics()
    metrics.count(TOKENS, "m", "output", amount=3)
    settings = SimpleNamespace(metrics_port=free_port(), metrics_host="127.0.0.1")
    port = scrape_port.open_if_set(settings, metrics)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
    finally:
        for each in silent:
            each.close()
    assert Scrape(answer.text).value("inference_tokens_total", model="m", type="output") == 3


def test_workers_of_one_machine_have_each_a_port_of_their_own():
    settings = SimpleNamespace(metrics_port=free_port(), metrics_host="127.0.0.1")
    ports = []
    for number in range(3):
        metrics = ProcessMetrics()
        metrics.count(TOKENS, "m", "output", amount=number + 1)
        ports.append(scrape_port.open_if_set(settings, metrics))
    assert ports == sorted(set(ports))
    shown = [Scrape(httpx.get(f"http://127.0.0.1:{port}/metrics").text) for port in ports]
    assert [each.value("inference_tokens_total") for each in shown] == [1, 2, 3]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])  # the second is nobody's (RFC 5737)
def test_where_no_port_is_to_be_had_a_line_says_so(caplog, monkeypatch, host):
    monkeypatch.setattr(scrape_port, "MOST_PORTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = SimpleNamespace(metrics_port=port, metrics_host=host)
        assert scrape_port.open_if_set(settings, ProcessMetrics()) is None
    assert f"no metrics at {host}:{port} (INFERENCE_METRICS_PORT): " in caplog.text


def test_the_page_has_every_metric_with_its_labels(redis):
    stored_job(redis)
    presence = Presence(redis, Worker("w", "m", pid=1, host="h", concurrency=4))
    presence.loaded(memory_bytes=1000, context_length=64)
    presence.tell_use(lambda: EngineUse(1, 1, 1, 1, 1, 1, 1))
    presence._beat()
    at_the_moment = {sample.name: set(sample.labels) for sample in shown(redis).samples}
    counted = {
        f"{name}{'_total' if instrument.kind is Kind.COUNTER else ''}": set(instrument.labels)
        for name, instrument in INSTRUMENTS.items()
    }
    assert documented() == at_the_moment | counted


def documented():
    """Name and labels of each row of the tables of metrics in OBSERVE.md."""
    page = OBSERVE.read_text().partition("\n## Metrics\n")[2].partition("\n## Alerts\n")[0]
    named, before = {}, []
    for name, cell in re.findall(r"^\| `([a-z_]+)` \|([^|]*)\|", page, re.M):
        labels = re.findall(r"`(\w+)`", cell)
        before = [*before[:3], *labels] if "the same" in cell else labels
        named[name] = set(before)
    return named
