"""The real service, started as its user starts it, in a directory and on a port of its own."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import psutil
from redis import Redis

from tests.support.waiting import wait_for
from workers.store import embedded

ROOT = Path(__file__).parents[2]
#: The longest a start may take on a busy machine: imports, and the model is requantised once.
READY_WITHIN_S = 60.0
#: The longest a stop may take where no answer runs.
STOPPED_WITHIN_S = 30.0
MODEL = "smollm2-135m"


def free_port():
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """`inference-service up` and everything it started."""

    #: The longest its start may take.
    ready_within_s = READY_WITHIN_S

    def __init__(self, data_dir, *, command=("web.cli", "up"), **environment):
        self._command = command
        self.data_dir = Path(data_dir)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("INFERENCE_")}
        self.environment = {
            **inherited,
            "INFERENCE_DATA_DIR": str(self.data_dir),
            "INFERENCE_PORT": str(self.port),
            "INFERENCE_GRACE_S": "5",
            **environment,
        }
        self._process = None
        self._http = None

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
                [sys.executable, "-m", *self._command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._http = httpx.Client(base_url=self.url, timeout=60)

    def await_ready(self):
        """Wait until it serves; fails with the logs where it does not."""
        try:
            wait_for(
                lambda: self._process.poll() is not None or self.is_ready(), self.ready_within_s
            )
        except BaseException:
            print(self.logs())
            self.kill()
            raise
        if self._process.poll() is not None:
            status = self._process.returncode
            raise AssertionError(f"up ended with status {status}\n{self.logs()}")

    def readiness(self):
        """Status and body of `/health/ready`; None while nothing answers."""
        with contextlib.suppress(httpx.TransportError):
            answer = self._http.get("/health/ready")
            return answer.status_code, answer.json()
        return None

    def is_ready(self):
        """Whether it serves."""
        found = self.readiness()
        return found is not None and found[0] == 200

    def stop(self, status=0):
        """SIGTERM; everything must have ended by itself, nothing may be left.

        `status` is what it must end with; None where another program decides that.
        """
        self._http.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            print(self.logs())
            self.kill()
            raise
        left = self.left_over()
        assert not left, f"left behind: {left}\n{self.logs()}"
        assert status is None or self._process.returncode == status, self.logs()

    def kill(self):
        """End whatever is there, without any ceremony."""
        self._http.close()
        self._process.kill()
        self._process.wait(10)
        for process in self.left_over():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def left_over(self):
        """Processes of this service, known by their environment, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                of_ours = process.environ().get("INFERENCE_DATA_DIR") == str(self.data_dir)
                if of_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

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

    def run(self, *arguments):
        """Run a command of ours beside it, in its environment, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "web.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def redis(self):
        """A client of its embedded server."""
        return Redis.from_url(embedded.url(self.data_dir))

    def logs(self):
        """The end of every log."""
        files = [self.data_dir / "up.log", *sorted((self.data_dir / "logs").glob("*.log"))]
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')[-4000:]}"
            for file in files
            if file.exists()
        )

    def openai(self):
        """The official client; it retries nothing by itself."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=60)

    def get(self, path, headers=None):
        """A plain GET."""
        return self._http.get(path, headers=headers)

    def delete(self, path):
        """A plain DELETE."""
        return self._http.delete(path)

    def post(self, body=None, **options):
        """A plain POST of a completion."""
        content = {"json": body} if body is not None else {}
        return self._http.post("/v1/chat/completions", **content, **options)

    def act(self, path, **query):
        """A POST without a body, such as loading a model; it may take as long as a load."""
        return self._http.post(path, params=query)

    def ask(self, content="Say hello.", **options):
        """A completion's body."""
        message = content if isinstance(content, str) else json.dumps({"scripted": content})
        return {"model": MODEL, "messages": [{"role": "user", "content": message}], **options}

    def open_stream(self, body):
        """A stream that its caller reads line by line and closes."""
        return OpenStream(self.port, {**body, "stream": True})


class OpenStream:
    """One streamed answer on a connection of its own."""

    def __init__(self, port, body, timeout_s=60):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        self._answer = None

    @property
    def answer(self):
        """The response; waits for its headers."""
        if self._answer is None:
            self._answer = self._connection.getresponse()
        return self._answer

    def events(self):
        """What comes after each `data: `, up to the end of the response."""
        for line in self.answer:
            if line.startswith(b"data: "):
                yield line[6:].decode().strip()

    def contents(self):
        """The pieces of text, as they come; an error frame raises."""
        for event in self.events():
            if event == "[DONE]":
                return
            frame = json.loads(event)
            assert "error" not in frame, frame
            for choice in frame["choices"]:
                if content := choice["delta"].get("content"):
                    yield content

    def await_content(self):
        """Wait for the first piece of text."""
        return next(self.contents())

    def close(self):
        """Leave, read or not."""
        if self._answer is not None:
            self._answer.close()
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
