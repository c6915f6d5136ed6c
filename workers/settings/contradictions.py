"""Settings that are allowed one by one and not together, or not for this user."""

from __future__ import annotations

from collections.abc import Iterator

from workers.settings import display
from workers.settings.problems import Problem
from workers.settings.table import Settings, variables

#: Threads that open answers leave free, so that `/health` always has one.
SPARE_WEB_THREADS = 8

_VARIABLES = {field: variable.name for field, variable, _ in variables()}


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Every contradiction between two settings, and between one and who runs the service."""
    yield from _home(settings)
    yield from _queue(settings)
    yield from _prompt_cache(settings)
    yield from _loading(settings)
    yield from _front_end(settings)
    yield from _bounds(settings)


def _home(settings: Settings) -> Iterator[Problem]:
    if settings.data_dir.is_absolute():
        return
    allowed = "set it to the path of a directory, since this user has no home directory"
    yield Problem(_VARIABLES["data_dir"], display.show(settings.data_dir), allowed)


def _queue(settings: Settings) -> Iterator[Problem]:
    if settings.queue_strategy is None or settings.priority_enabled is None:
        return
    said = "priority" if settings.priority_enabled else "fifo"
    if said != settings.queue_strategy:
        allowed = f"{said}, or only one of the two variables"
        yield _problem(settings, "queue_strategy", allowed, "priority_enabled")


def _prompt_cache(settings: Settings) -> Iterator[Problem]:
    if settings.prompt_cache_disk_mb and settings.prompt_cache_mb == 0:
        allowed = "0, or with a prompt cache in memory, through which all goes to the disk and back"
        yield _problem(settings, "prompt_cache_disk_mb", allowed, "prompt_cache_mb")


def _loading(settings: Settings) -> Iterator[Problem]:
    if settings.autoscaled and not settings.load_on_demand:
        allowed = "false, or INFERENCE_LOAD_ON_DEMAND=true: no other request waits for a model"
        yield _problem(settings, "autoscaled", allowed, "load_on_demand")
    if not settings.swap:
        return
    if not settings.load_on_demand:
        allowed = "false, or INFERENCE_LOAD_ON_DEMAND=true: only a model loaded on demand swaps"
        yield _problem(settings, "swap", allowed, "load_on_demand")
    if settings.swap_max_wait_s >= settings.request_timeout_s:
        allowed = "less than the request timeout, which would end the request first"
        yield _problem(settings, "swap_max_wait_s", allowed, "request_timeout_s")


def _front_end(settings: Settings) -> Iterator[Problem]:
    places = settings.web_threads - SPARE_WEB_THREADS
    if (settings.max_concurrent_requests or 0) > places:
        allowed = (
            f"at most {places}: every open request holds a thread, {SPARE_WEB_THREADS} stay free"
        )
        yield _problem(settings, "max_concurrent_requests", allowed, "web_threads")
    chosen = settings.sources.get("flower_port", "default") != "default"
    if chosen and settings.flower_port == settings.port:
        yield _problem(settings, "flower_port", "another port", "port")
    if settings.flower_is_open and settings.flower_auth is None:
        allowed = "an address of loopback, or with INFERENCE_FLOWER_AUTH: it shows and ends tasks"
        yield Problem(_VARIABLES["flower_host"], settings.flower_host, allowed)


def _bounds(settings: Settings) -> Iterator[Problem]:
    if settings.max_bodies_mb < settings.max_body_mb:
        allowed = "at least one body, or none of that size is ever taken"
        yield _problem(settings, "max_bodies_mb", allowed, "max_body_mb")


def _problem(settings: Settings, name: str, allowed: str, against: str) -> Problem:
    def shown(field: str) -> str:
        return display.show(getattr(settings, field))

    other = (_VARIABLES[against], shown(against))
    return Problem(_VARIABLES[name], shown(name), allowed, other)
