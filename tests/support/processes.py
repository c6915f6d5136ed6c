"""Single processes of the service, as an operator starts them without `up`."""

import subprocess
import sys

from tests.support.front_end import FrontEnd
from tests.support.waiting import wait_for
from workers.cluster.directory import Directory
from workers.cluster.presence import WorkerStatus

#: The longest a process may take to start on a busy machine, and to end.
STARTED_WITHIN_S = 60
ENDED_WITHIN_S = 30


class Process:
    """`inference-service` with some arguments, of one version."""

    def __init__(self, version, settings, log, *arguments):
        self.version = version
        self._settings = settings
        self._log = log
        self._arguments = arguments
        self._process = None

    @property
    def pid(self):
        """Of the process."""
        return self._process.pid

    def start(self):
        """Start it and return at once."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "web.cli", *self._arguments],
                cwd=self.version.root,
                env=self.version.environment(**self._settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self):
        """SIGTERM; it must end by itself and well."""
        self._process.terminate()
        try:
            assert self._process.wait(ENDED_WITHIN_S) == 0, self.last_lines()
        finally:
            self.kill()

    def kill(self):
        """End it at once, if it runs."""
        self._process.kill()
        self._process.wait(10)

    def last_lines(self):
        """The end of what it said, and of what it logged."""
        return self._log.read_text(errors="replace")[-4000:]

    def await_(self, condition):
        """Wait until the condition is true; fails with its log where the process ends before."""
        wait_for(lambda: condition() or self._process.poll() is not None, STARTED_WITHIN_S)
        assert self._process.poll() is None, self.last_lines()


class WorkerProcess(Process):
    """A worker of a model, or the orchestration worker."""

    def await_loaded(self, redis):
        """Wait until it says that it serves."""

        def is_loaded():
            return any(
                worker.pid == self.pid and worker.status is WorkerStatus.LOADED
                for worker in Directory(redis, ttl_s=0).workers()
            )

        self.await_(is_loaded)


class FrontEndProcess(FrontEnd):
    """A front end, and what its callers do."""

    def __init__(self, version, settings, log):
        super().__init__()
        self._process = Process(version, {**settings, "INFERENCE_PORT": str(self.port)}, log, "web")

    def start(self):
        """Start it and return at once."""
        self._process.start()
        self.connect()

    def await_ready(self):
        """Wait until it would answer a request."""
        self._process.await_(self.is_ready)

    def stop(self):
        """SIGTERM; it must end by itself."""
        self.disconnect()
        self._process.stop()

    def kill(self):
        """End it at once, if it runs."""
        self.disconnect()
        self._process.kill()
