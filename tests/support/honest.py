"""An honest client beside an attack: what it must not notice."""

import contextlib
import threading
import time

import httpx
import psutil

#: What an attack may cost those who do not take part.
LONGEST_GAP_S = 1.0
SLOWEST_HEALTH_S = 1.0
MOST_GROWTH_MB = 100
#: Seconds between two tokens of the honest stream, and between two looks at `/health`.
TOKEN_S = 0.05
LOOK_S = 0.1
MEGABYTE = 2**20


class Honest:
    """A stream that is read, and a monitor that asks for `/health`, while others attack."""

    def __init__(self, service, headers):
        self._service, self._headers = service, headers
        self._ending = threading.Event()
        self._streaming = threading.Event()
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._look)]
        self._processes = [service.supervisor, *service.supervisor.children(recursive=True)]
        self._failures = []
        #: Seconds between two pieces of the stream, the longest.
        self.gap_s = 0.0
        #: Seconds that `/health` took, the longest.
        self.health_s = 0.0
        self.memory_mb = self.growth_mb = 0.0

    def __enter__(self):
        self._streaming.clear()
        for thread in self._threads:
            thread.start()
        assert self._streaming.wait(30), self._failures
        self.memory_mb = self._resident_mb()
        return self

    def __exit__(self, kind, *_):
        self._look_at_memory()
        self._ending.set()
        for thread in self._threads:
            thread.join(30)
        if kind is None:
            assert not self._failures, self._failures
            assert self.gap_s < LONGEST_GAP_S, f"the stream stood still for {self.gap_s:.2f} s"
            assert self.health_s < SLOWEST_HEALTH_S, f"/health took {self.health_s:.2f} s"
            assert self.growth_mb < MOST_GROWTH_MB, f"{self.growth_mb:.0f} MB more"

    def _read(self):
        script = {"repeat": True, "tokens_per_s": 1 / TOKEN_S}
        body = self._service.ask(script, stream=True)
        try:
            with (
                httpx.Client(base_url=self._service.url, timeout=30) as client,
                client.stream(
                    "POST", "/v1/chat/completions", json=body, headers=self._headers
                ) as answer,
            ):
                assert answer.status_code == 200, answer.read()
                last = None
                for _ in answer.iter_raw():
                    now = time.monotonic()
                    if last is not None:
                        self.gap_s = max(self.gap_s, now - last)
                    last = now
                    self._streaming.set()
                    if self._ending.is_set():
                        return
                raise AssertionError("the honest stream has ended")
        except Exception as error:
            self._failures.append(error)

    def _look(self):
        with httpx.Client(base_url=self._service.url, timeout=30) as client:
            while not self._ending.wait(LOOK_S):
                begun = time.monotonic()
                try:
                    assert client.get("/health").status_code == 200
                except Exception as error:
                    self._failures.append(error)
                self.health_s = max(self.health_s, time.monotonic() - begun)
                self._look_at_memory()

    def _look_at_memory(self):
        if self.memory_mb:
            self.growth_mb = max(self.growth_mb, self._resident_mb() - self.memory_mb)

    def _resident_mb(self):
        total = 0
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total / MEGABYTE
