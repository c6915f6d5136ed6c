"""A Redis of a test's own: the binary of the embedded server, on a socket in a directory."""

import subprocess

from tests.support.waiting import wait_for
from workers.store import embedded


class Valkey:
    """A server that a test starts and stops; with `persistent` it keeps what it had."""

    def __init__(self, directory, *, persistent=False):
        self._directory = directory
        self._persistent = persistent
        self._process = None
        self.socket = directory / "s"
        self.url = f"unix://{self.socket}"

    def start(self):
        """Start it, and wait until it listens."""
        command = [str(embedded.server_binary()), "--port", "0", "--unixsocket", str(self.socket)]
        command += ["--dir", str(self._directory), "--save", ""]
        command += ["--appendonly", "yes" if self._persistent else "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.socket.exists)

    def stop(self):
        """End it."""
        self._process.terminate()
        self._process.wait(10)
        self.socket.unlink(missing_ok=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def everything(redis):
    """All that the server holds, as one text."""
    texts = []
    for raw in redis.scan_iter():
        kind = redis.type(raw)
        if kind == b"hash":
            texts.append(str(redis.hgetall(raw)))
        elif kind == b"string":
            texts.append(str(redis.get(raw)))
        elif kind == b"stream":
            texts.append(str(redis.xrange(raw)))
        elif kind == b"list":
            texts.append(str(redis.lrange(raw, 0, -1)))
    return "\n".join(texts)
