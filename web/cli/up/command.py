"""`inference-service up`: the whole service on one machine."""

from __future__ import annotations

import contextlib
import functools
import signal
import time
from typing import Any

import click
from redis.exceptions import RedisError

from presets.catalogue import UnknownModel
from presets.weights import weight_files
from web.cli.up.announcement import Announcement
from web.cli.up.deaths import LocalDeaths
from web.cli.up.flower_page import FlowerPage
from web.cli.up.log_disk import LogDisk
from web.cli.up.model_workers import ModelWorkers
from web.cli.up.preconditions import (
    Refusal,
    require_free_port,
    require_memory,
    require_no_other,
)
from web.cli.up.silent_workers import SilentWorkers
from web.cli.up.standby import Standby
from web.cli.up.stop_signals import StopSignals
from web.cli.up.supervisor import Child, Supervisor
from workers.cluster.directory import Directory
from workers.cluster.presence import forget_loaded
from workers.planning import catalogue as catalogue_
from workers.settings import Settings
from workers.store import connections, embedded

#: The embedded server reads its log at start; a large one takes seconds.
_REDIS_STARTS_S = 60.0
_OTHER_REDIS_S = 10.0
_LOOK_S = 0.1


def run(settings: Settings, *, flower: bool, force: bool) -> int:
    """Start, watch and stop the service; returns the exit status.

    `force` starts models that do not fit the memory, too.
    """
    signals = StopSignals()
    standby = Standby(settings.data_dir / "logs" / "standby.log", _standby_models(settings))
    supervisor = Supervisor(_say, standby)
    try:
        wanted = _wanted(settings)
        require_free_port(settings)
        require_memory(settings, wanted, _say, force=force)
        page = FlowerPage(settings, _start(settings, supervisor, signals, flower=flower), _say)
        return _watch(settings, wanted, supervisor, standby, signals, page, force=force)
    except Refusal as refusal:
        click.echo(f"inference-service cannot start: {refusal}", err=True)
        return 1
    finally:
        standby.stop()
        supervisor.stop(hurried=lambda: signals.count > 1)


def _start(
    settings: Settings,
    supervisor: Supervisor,
    signals: StopSignals,
    *,
    flower: bool,
) -> Child | None:
    """Start what serves no model; returns Flower, where that is wanted."""
    logs, log_bytes = settings.data_dir / "logs", settings.log_max_mb * 2**20
    server: Child | None = None

    def start(name: str, *arguments: str, **options: Any) -> Child:
        log = logs / f"{name}.log"
        return supervisor.start(Child(name, arguments, log, log_bytes=log_bytes, **options))

    # Stopping goes the other way round: models end their answers while the rest still serves.
    if settings.redis_url is None:
        require_no_other(settings)
        diagnose = functools.partial(embedded.damage, settings.data_dir)
        server = start("redis", "redis", diagnose=diagnose)
    _await_redis(settings, supervisor, signals, server)
    forget_loaded(connections.client(settings))
    start("orchestration", "worker", "--orchestration")
    start("web", "web", grace_s=settings.grace_s)
    if not flower:
        return None
    return start("flower", "flower", essential=False, optional=True)


def _watch(
    settings: Settings,
    wanted: tuple[str, ...],
    supervisor: Supervisor,
    standby: Standby,
    signals: StopSignals,
    page: FlowerPage,
    *,
    force: bool,
) -> int:
    announcement = Announcement(settings, wanted[0], _say)
    redis = connections.client(settings)
    silent_workers = SilentWorkers(Directory(redis))
    deaths = LocalDeaths(redis)
    models = ModelWorkers(redis, settings, supervisor, _say)
    log_disk = LogDisk(settings.data_dir / "logs", _say)
    models.begin(wanted, force=force)
    while not signals.count:
        deaths.look(supervisor.pids())
        if hopeless := supervisor.look():
            raise Refusal(hopeless)
        standby.look(calm=announcement.answers and supervisor.calm)
        models.look()
        page.look()
        log_disk.look()
        _end_silent(supervisor, silent_workers)
        announcement.look()
        signals.wait(_LOOK_S)
    models.end()
    _say("stopping")
    return 0


def _end_silent(supervisor: Supervisor, silent_workers: SilentWorkers) -> None:
    """End workers that live and do not say so; the supervisor starts others."""
    children = supervisor.pids()
    for pid in silent_workers.silent(children):
        _say(f"{children[pid].name} no longer responds and is restarted")
        children[pid].signal_group(signal.SIGKILL)


def _standby_models(settings: Settings) -> list[str]:
    """Whose engines the standby imports; none where there is to be no standby."""
    if not settings.standby:
        return []
    catalogue = catalogue_.load(settings)
    wanted = catalogue.wanted(settings.preload_models, settings.config)
    return [model for model in wanted if catalogue.has(model)]


def _wanted(settings: Settings) -> tuple[str, ...]:
    catalogue = catalogue_.load(settings)
    if unserved := weight_files.unserved(settings.models_dir, catalogue.all()):
        _say(
            f"warning: {len(unserved)} files in {settings.models_dir} are not served; the reasons: "
            "inference-service models"
        )
    wanted = catalogue.wanted(settings.preload_models, settings.config)
    absences = {}
    for model_id in wanted:
        try:
            spec = catalogue.get(model_id)
        except UnknownModel as error:
            raise Refusal(f"INFERENCE_PRELOAD_MODELS: {error}") from None
        if absence := weight_files.absence(spec):
            absences[model_id] = absence
    for model_id, absence in absences.items():  # the others serve all the same
        _say(f"warning: {model_id} cannot be loaded: {absence}")
    if absences and len(absences) == len(wanted):  # it would wait for them for ever
        raise Refusal("the files of every model that it is to start are missing (see above).")
    return wanted


def _await_redis(
    settings: Settings, supervisor: Supervisor, signals: StopSignals, server: Child | None
) -> None:
    redis = connections.client(settings)
    deadline = time.monotonic() + (_OTHER_REDIS_S if settings.redis_url else _REDIS_STARTS_S)
    while not signals.count:
        if hopeless := supervisor.look():
            raise Refusal(hopeless)
        if server is not None and not server.running:
            raise Refusal(
                embedded.problem(settings.data_dir, server.said())
                or f"the embedded server has ended; it said:\n{server.last_lines(5)}"
            )
        try:
            redis.ping()
            return
        except RedisError as error:
            if time.monotonic() > deadline:
                named = "INFERENCE_REDIS_URL" if settings.redis_url else "the embedded server"
                raise Refusal(f"Redis ({named}) does not answer: {error}") from None
        time.sleep(_LOOK_S)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # it may go to a file whose disk is full
        click.echo(line)
