"""The real service, started as its user starts it, in a directory and on a port of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from redis import Redis

from tests.support.front_end import MODEL, FrontEnd
from tests.support.waiting import wait_for
from workers.store import embedded

#: What this version is run from.
ROOT = Path(__file__).parents[2]
#: The longest a start may take on a busy machine: imports, and the model is requantised once.
READY_WITHIN_S = 60.0
#: The longest a stop may take where no answer runs.
STOPPED_WITHIN_S = 30.0


def inherited_environment():
    """The environment of the tests without any setting of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INFERENCE_")}


#: The command that starts everything.
UP = ("web.cli", "up")


class Service(FrontEnd):
    """`inference-service up` and everything it started."""

    def __init__(
        self,
        data_dir,
        *,
        command=UP,
        ready_within_s=READY_WITHIN_S,
        python=sys.executable,
        directory=ROOT,
        **environment,
    ):
        """`python` in `directory` runs it; `environment` is added to that of the tests."""
        super().__init__()
        self._python = str(python)
        self._directory = directory
        self._ready_within_s = ready_within_s
        self._command = command
        self.data_dir = Path(data_dir)
        self.environment = {
            **inherited_environment(),
            "INFERENCE_DATA_DIR": str(self.data_dir),
            "INFERENCE_PORT": str(self.port),
            "INFERENCE_GRACE_S": "5",
            # Several run side by side, and llama.cpp's threads wait for each other in a loop.
            "INFERENCE_ENGINE_THREADS": "1",
            **environment,
        }
        self._process = None

    def __enter__(self):
        self.start()
        self.await_ready()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Start it and return at once."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "up.log").open("ab") as output:
            self._process = subprocess.Popen(
                [self._python, "-m", *self._command],
                cwd=self._directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.connect()

    def await_ready(self):
        """Wait until it serves; fails with the logs where it does not."""
        try:
            wait_for(
                lambda: self._process.poll() is not None or self.is_ready(), self._ready_within_s
            )
        except BaseException:
            print(self.logs())
            self.kill()
            raise
        if self._process.poll() is not None:
            status = self._process.returncode
            raise AssertionError(f"up ended with status {status}\n{self.logs()}")

    def stop(self, status=0):
        """SIGTERM; everything must have ended by itself, nothing may be left.

        `status` is what it must end with; None where another program decides that.
        """
        self.disconnect()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            print(self.logs())
            self.kill()
            raise
        left = self.left_over()
        assert not left, f"left over: {left}\n{self.logs()}"
        assert status is None or self._process.returncode == status, self.logs()

    def kill(self):
        """End whatever is there, without any ceremony."""
        self.disconnect()
        self._process.kill()
        self._process.wait(10)
        for process in self.left_over():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def left_over(self):
        """Processes of this service, known by their environment, whoever their parent is now."""
        workers = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                of_ours = process.environ().get("INFERENCE_DATA_DIR") == str(self.data_dir)
                if of_ours and process.status() != psutil.STATUS_ZOMBIE:
                    workers.append(process)
        return workers

    @property
    def supervisor(self):
        """The process of `up`."""
        return psutil.Process(self._process.pid)

    def processes(self, *arguments):
        """The processes that `up` started whose last arguments are these."""
        ours = []
        for process in self.supervisor.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if tuple(process.cmdline()[-len(arguments) :]) == arguments:
                    ours.append(process)
        return ours

    def child(self, *arguments):
        """The first process that `up` started whose last arguments are these."""
        for process in self.processes(*arguments):
            return process
        raise AssertionError(f"no {arguments} runs\n{self.logs()}")

    def pids(self, *arguments):
        """Pids of the processes that `up` started whose last arguments are these."""
        return [process.pid for process in self.processes(*arguments)]

    def worker_pids(self, model=MODEL):
        """Pids of the live workers of a model."""
        return self.pids("worker", model)

    def run(self, *arguments, input=None, **changes):
        """Run a command of ours beside it to its end, in its environment with these changes."""
        return subprocess.run(
            [self._python, "-m", "web.cli", *arguments],
            cwd=self._directory,
            env={**self.environment, **changes},
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def redis(self):
        """A client of its Redis."""
        url = self.environment.get("INFERENCE_REDIS_URL") or embedded.url(self.data_dir)
        return Redis.from_url(url)

    def logs(self):
        """The end of every log."""
        files = [self.data_dir / "up.log", *sorted((self.data_dir / "logs").glob("*.log"))]
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-4000:]}"
            for file in files
            if file.exists()
        )
