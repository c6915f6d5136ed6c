"""A Redis of a test's own: the binary of the embedded server, on a socket in a directory."""

import subprocess

from redis import Redis
from redis.exceptions import RedisError

from tests.support.waiting import wait_for
from workers.store import embedded


class Valkey:
    """A server that a test starts and stops; with `persistent` it keeps what it had.

    `port`: it listens on this port of loopback too. `configuration`: further lines of its own.
    `login`: user and password of who looks whether it answers.
    """

    def __init__(self, directory, *, persistent=False, port=0, configuration=(), login=()):
        self._directory = directory
        self._persistent = persistent
        self._port = port
        self._configuration = configuration
        self._login = dict(zip(("username", "password"), login, strict=False))
        self._process = None
        self.socket = directory / "s"
        self.url = f"unix://{self.socket}"

    def start(self):
        """Start it, and wait until it listens."""
        command = [str(embedded.server_binary())]
        if self._configuration:
            file = self._directory / "valkey.conf"
            file.write_text("\n".join(self._configuration) + "\n")
            command += [str(file)]
        command += ["--port", str(self._port), "--unixsocket", str(self.socket)]
        command += ["--dir", str(self._directory), "--save", ""]
        command += ["--appendonly", "yes" if self._persistent else "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.socket.exists)

    def client(self, database=0):
        """A client on its socket."""
        return Redis(unix_socket_path=str(self.socket), db=database, **self._login)

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


class Sentinel:
    """The same binary as a sentinel that watches a server on a port of loopback.

    `login`: user and password of who asks it.
    """

    def __init__(
        self, directory, port, watched_port, *, master="primary", configuration=(), login=()
    ):
        self._login = dict(zip(("username", "password"), login, strict=False))
        self._file = directory / f"sentinel-{port}.conf"
        self._file.write_text(
            "\n".join(
                (
                    "bind 127.0.0.1",
                    f"port {port}",
                    f'dir "{directory}"',
                    f"sentinel monitor {master} 127.0.0.1 {watched_port} 1",
                    f"sentinel down-after-milliseconds {master} 500",
                    f"sentinel failover-timeout {master} 2000",
                    *configuration,
                )
            )
            + "\n"
        )
        self._port = port
        self._master = master
        self._process = None

    def master_port(self):
        """The port of the server that it names now; None while it names none."""
        with Redis(port=self._port, socket_timeout=2, **self._login) as client:
            try:
                where = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master)
            except RedisError:
                return None
        return where and int(where[1])

    def replicas(self):
        """How many replicas it knows."""
        with Redis(port=self._port, socket_timeout=2, **self._login) as client:
            return len(client.sentinel_slaves(self._master))

    def __enter__(self):
        command = [str(embedded.server_binary()), str(self._file), "--sentinel"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.master_port)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)
