"""What `top` makes of two scrapes."""

import dataclasses

import pytest

from web.cli.top import view
from web.cli.top.scrape import Scrape

BEFORE = """\
inference_redis_up 1
inference_requests_total{route="/v1/jobs",code="202",error=""} 10
"""
NOW = """\
inference_redis_up 1
inference_requests_total{route="/v1/jobs",code="202",error=""} 14
inference_requests_total{route="/v1/chat/completions",code="200",error="ENGINE_FAILED"} 2
inference_requests_total{route="/v1/chat/completions",code="404",error="MODEL_NOT_FOUND"} 2
inference_open_requests 3
inference_queued_jobs 4
inference_running_steps{model="m"} 2
inference_redis_memory_bytes 10485760
inference_redis_memory_limit_bytes 104857600
inference_keeper 1
inference_webhooks_pending 0
inference_dead_letters 5
inference_model_memory_bytes{model="m"} 209715200
inference_model_concurrency{model="m"} 16
inference_batch_rows{model="m"} 2
inference_queue_depth{model="m",priority="normal"} 6
inference_queue_depth{model="m",priority="bulk"} 1
inference_queue_oldest_seconds{model="m",priority="bulk"} 90
inference_kv_cells{model="m"} 250
inference_kv_cells_limit{model="m"} 1000
inference_time_between_tokens_seconds_bucket{model="m",le="0.02"} 0
inference_time_between_tokens_seconds_bucket{model="m",le="0.04"} 78
inference_time_between_tokens_seconds_bucket{model="m",le="+Inf"} 78
inference_time_between_tokens_seconds_count{model="m"} 78
gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model="m",le="0.1"} 1
gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model="m",le="0.2"} 2
gen_ai_server_time_to_first_token_seconds_bucket{gen_ai_request_model="m",le="+Inf"} 2
gen_ai_server_time_to_first_token_seconds_count{gen_ai_request_model="m"} 2
"""


@pytest.fixture
def scrapes():
    """Two scrapes, two seconds apart."""
    before = dataclasses.replace(Scrape.parsed(BEFORE), at=0.0)
    return before, dataclasses.replace(Scrape.parsed(NOW), at=2.0)


def test_it_shows_what_is_and_what_grew(scrapes):
    shown = list(view.lines(*scrapes))
    assert shown[0].split("   ") == [
        "requests/s 4.0", "failed/s 1.0", "open 3", "queued jobs 4", "running steps 2",
    ]  # fmt: skip
    assert shown[1].split("   ") == [
        "Redis MB 10 of 100", "keeper yes", "webhooks 0", "dead letters 5",
    ]  # fmt: skip
    assert shown[3].startswith("model")
    assert shown[4].split() == ["m", "2/16", "7", "90s", "25%", "40.0", "100", "30", "200"]


def test_no_line_is_longer_than_a_terminal(scrapes):
    long = [
        dataclasses.replace(
            scrape, samples={_renamed(key): value for key, value in scrape.samples.items()}
        )
        for scrape in scrapes
    ]
    shown = list(view.lines(*long))
    assert max(map(len, shown)) <= view.WIDTH
    assert shown[4].startswith("aaaaaaaaaa..aaaaaaaaaz ")


def _renamed(key):
    name, labels = key
    return name, tuple(
        (label, f"{'a' * 60}z" if value == "m" else value) for label, value in labels
    )


def test_a_count_that_fell_began_anew():
    before, now = Scrape.parsed("x_total 100\n"), Scrape.parsed("x_total 7\n")
    assert now.since(before).total("x_total") == 7


def test_without_redis_nothing_is_known():
    away = Scrape.parsed("inference_redis_up 0\n")
    assert list(view.lines(away, away)) == ["Redis cannot be reached: nothing is known."]


def test_what_is_no_scrape_is_a_value_error():
    with pytest.raises(ValueError):  # noqa: PT011 # its words are the library's
        Scrape.parsed("<html>")
