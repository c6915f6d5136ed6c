"""Processes of a measurement: the service as `up` starts it, pinned to cores."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

#: The process that decodes has this core for itself; everything else shares the other.
DECODE_CORE, OTHER_CORE = 0, 1


def pin(pid: int, core: int) -> None:
    """Pin every thread of a process; threads it starts later follow."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {core})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """The whole service in a directory of its own."""

    def __init__(self, directory: Path, concurrency: int, **environment: str) -> None:
        self.port = free_port()
        self.data_dir = directory
        self._log = (directory / "up.log").open("w")
        self._up = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "up"],
            env={
                **os.environ,
                "INFERENCE_PORT": str(self.port),
                "INFERENCE_DATA_DIR": str(directory),
                "INFERENCE_MAX_CONCURRENT_PER_MODEL": str(concurrency),
                "INFERENCE_ENGINE_THREADS": "1",
                **environment,
            },
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._await_ready()

    def _await_ready(self) -> None:
        url = f"http://127.0.0.1:{self.port}/health/ready"
        deadline = time.monotonic() + 300  # vLLM loads for a minute and more
        while time.monotonic() < deadline:
            if self._up.poll() is not None:
                break
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the service did not start; see {self._log.name}")

    @property
    def pid(self) -> int:
        """Of `up`."""
        return self._up.pid

    def processes(self) -> dict[str, psutil.Process]:
        """Its processes, by what they are; with setproctitle, which vLLM brings along, Celery and
        gunicorn write their command lines anew.
        """
        by_part = {}
        for process in psutil.Process(self._up.pid).children(recursive=True):
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:  # it was killed, and `up` has not seen it yet
                continue
            if "--orchestration" in line:
                by_part["orchestration"] = process
            elif "web.cli worker" in line or "(worker " in line:
                by_part["worker"] = process
            elif "web.cli web" in line or "[inference-service web]" in line:
                by_part.setdefault("web", process)
                by_part["web server"] = process
            elif "valkey" in line:
                by_part["redis"] = process
        return by_part

    def pin(self) -> None:
        for name, process in self.processes().items():
            pin(process.pid, DECODE_CORE if name == "worker" else OTHER_CORE)
        if "web" in self.processes():
            pin(self.processes()["web"].pid, OTHER_CORE)

    def stop(self) -> None:
        self._up.send_signal(signal.SIGTERM)
        try:
            self._up.wait(60)
        finally:
            self._log.close()


@contextlib.contextmanager
def service(concurrency: int, *, pinned: bool = True, **environment: str):
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        running = Service(Path(directory), concurrency, **environment)
        try:
            if pinned:
                running.pin()
            yield running
        finally:
            running.stop()


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
