"""Every process that is told to end ends within its grace, with Redis gone too; a killed `up`
leaves nothing."""

import contextlib
import signal
import subprocess
import sys

import httpx
import pytest

from tests.support.followers import Followers
from tests.support.service import MODEL, ROOT, Service
from tests.support.waiting import wait_for
from workers.runtime.ending import AFTER_GRACE_S

GRACE_S = 1
#: For a busy machine.
SLACK_S = 5
#: docs/RECOVERY.md promises it.
NOTHING_LEFT_WITHIN_S = 10
SCRIPTED = {"INFERENCE_BACKEND": "scripted", "INFERENCE_MAX_CONCURRENT_PER_MODEL": "4"}
ENDLESS = {"repeat": True, "tokens_per_s": 20}

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def processes(tmp_path):
    """Every process of a service, each started alone, and a stream that runs."""
    service = Service(tmp_path, **SCRIPTED, INFERENCE_GRACE_S=str(GRACE_S))
    service.environment["INFERENCE_FLOWER_PORT"] = str(service.port + 1)
    running = {}

    def start(name, *arguments):
        with (tmp_path / f"{name}.log").open("ab") as output:
            running[name] = subprocess.Popen(
                [sys.executable, "-m", "web.cli", *arguments],
                cwd=ROOT,
                env=service.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    start("redis", "redis")
    start("web", "web")
    start("orchestration", "worker", "--orchestration")
    start("worker", "worker", MODEL)
    start("flower", "flower")
    try:
        wait_for(lambda: is_ready(service), 60)
        wait_for(lambda: "Visit me at" in log(tmp_path, "flower"), 30)
        yield service, running
    finally:
        for process in running.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(10)
        # What a killed front end has started sees that it is alone.
        wait_for(lambda: service.left_over() == [], NOTHING_LEFT_WITHIN_S)


def is_ready(service):
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{service.url}/health/ready").status_code == 200


def log(directory, name):
    return (directory / f"{name}.log").read_text(errors="replace")


def test_every_process_ends_within_its_grace_with_redis_gone(processes):
    service, running = processes
    asked = service.ask(ENDLESS)
    with service.open_stream(asked) as stream:
        stream.await_content()
        running["redis"].kill()
        running["redis"].wait(10)
        others = {name: process for name, process in running.items() if name != "redis"}
        for process in others.values():
            process.send_signal(signal.SIGTERM)
        for name, process in others.items():
            try:
                process.wait(GRACE_S + AFTER_GRACE_S + SLACK_S)
            except subprocess.TimeoutExpired:
                pytest.fail(f"{name} does not end\n{log(service.data_dir, name)}")


def test_redis_itself_ends(processes):
    _, running = processes
    running["redis"].send_signal(signal.SIGTERM)
    assert running["redis"].wait(SLACK_S) == 0


def test_a_killed_up_leaves_nothing_while_streams_run(tmp_path):
    service = Service(tmp_path, **SCRIPTED, INFERENCE_GRACE_S="60")
    service.start()
    service.await_ready()
    try:
        streams = Followers(service, [service.ask(ENDLESS) for _ in range(3)])
        streams.await_text(20)
        service.supervisor.kill()
        wait_for(lambda: service.left_over() == [], NOTHING_LEFT_WITHIN_S)
    finally:
        service.kill()
