"""The view: two scrapes as lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from web.cli.top.scrape import Scrape

WIDTH = 80
#: Columns of a model's name; a longer one is cut in its middle, since its end tells models apart.
_NAME = 22
#: Title -> columns.
_COLUMNS = {
    "rows": 7, "queue": 6, "oldest": 7, "kv": 5, "tok/s": 7, "first ms": 9, "gap ms": 7, "MB": 7,
}  # fmt: skip
#: Stands where nothing was measured in the time between the two scrapes.
_NOTHING = "-"
_FIRST_TOKEN = "gen_ai_server_time_to_first_token_seconds"  # nosec B105 # a metric's name
_BETWEEN_TOKENS = "inference_time_between_tokens_seconds"


def lines(before: Scrape, now: Scrape) -> Iterator[str]:
    """What is so now, and what happened since `before`."""
    if not now.total("inference_redis_up"):
        yield "Redis cannot be reached: nothing is known."
        return
    grown = now.since(before)
    seconds = max(1e-3, now.at - before.at)
    yield from _totals(now, grown, seconds)
    yield ""
    yield _row("model", list(_COLUMNS))
    for model in now.values("inference_model_memory_bytes", "model"):
        yield _row(model, _cells(model, now, grown, seconds))


def _totals(now: Scrape, grown: Scrape, seconds: float) -> Iterator[str]:
    requests = grown.total("inference_requests_total") / seconds
    errors = sum(
        value
        for (name, labels), value in grown.samples.items()
        if name == "inference_requests_total" and _is_failure(dict(labels))
    )
    limit = now.total("inference_redis_memory_limit_bytes")
    memory = f"{_mb(now.total('inference_redis_memory_bytes'))}"
    yield _facts(
        ("requests/s", f"{requests:.1f}"),
        ("failed/s", f"{errors / seconds:.1f}"),
        ("open", _whole(now.total("inference_open_requests"))),
        ("queued jobs", _whole(now.total("inference_queued_jobs"))),
        ("running steps", _whole(now.total("inference_running_steps"))),
    )
    yield _facts(
        ("Redis MB", f"{memory} of {_mb(limit)}" if limit else memory),
        ("keeper", "yes" if now.total("inference_keeper") else "NONE"),
        ("webhooks", _whole(now.total("inference_webhooks_pending"))),
        ("dead letters", _whole(now.total("inference_dead_letters"))),
    )


def _cells(model: str, now: Scrape, grown: Scrape, seconds: float) -> list[str]:
    rows = _whole(now.total("inference_batch_rows", model=model))
    places = _whole(now.total("inference_model_concurrency", model=model))
    cells = now.total("inference_kv_cells_limit", model=model)
    used = now.total("inference_kv_cells", model=model)
    # Tokens are counted at a step's end, the times between them as they come.
    tokens = grown.total(f"{_BETWEEN_TOKENS}_count", model=model) + grown.total(
        f"{_FIRST_TOKEN}_count", gen_ai_request_model=model
    )
    first_s = grown.quantile(0.5, _FIRST_TOKEN, gen_ai_request_model=model)
    gap_s = grown.quantile(0.5, _BETWEEN_TOKENS, model=model)
    oldest_s = now.most("inference_queue_oldest_seconds", model=model)
    return [
        f"{rows}/{places}",
        _whole(now.total("inference_queue_depth", model=model)),
        f"{oldest_s:.0f}s" if oldest_s else _NOTHING,
        f"{used / cells:.0%}" if cells else _NOTHING,
        f"{tokens / seconds:.1f}",
        _NOTHING if first_s is None else f"{first_s * 1e3:.0f}",
        _NOTHING if gap_s is None else f"{gap_s * 1e3:.0f}",
        _mb(now.total("inference_model_memory_bytes", model=model)),
    ]


def _is_failure(labels: dict[str, str]) -> bool:
    """Whether a request failed for which its caller is not to blame."""
    code = labels.get("code", "")
    return code.startswith("5") or (code in ("101", "200") and bool(labels.get("error")))


def _row(name: str, cells: Sequence[str]) -> str:
    if len(name) > _NAME:
        half = (_NAME - 2) // 2
        name = f"{name[:half]}..{name[-half:]}"
    columns = zip(cells, _COLUMNS.values(), strict=True)
    return f"{name:<{_NAME}}" + "".join(f"{cell:>{width}}" for cell, width in columns)


def _facts(*facts: tuple[str, str]) -> str:
    return "   ".join(f"{name} {value}" for name, value in facts)


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _mb(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.0f}"
