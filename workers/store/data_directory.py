"""The data directory: made, checked and closed to others before anything is kept in it.

Prompts, answers, passwords and hashes of keys lie in it. Nothing in it is for others: what a
process writes from now on has no mode bits for them, and what has wider ones loses them.
"""

from __future__ import annotations

import errno
import getpass
import logging
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

#: What group and others may not do.
OTHERS = 0o077
#: Less than this is no room to work in: the log of the embedded server alone takes more.
_PROBE_BYTES = 2**20
#: Directories in it that processes write to from their start on.
_WRITTEN = ("redis", "logs", "cache")
_ELSEWHERE = "or set INFERENCE_DATA_DIR to another directory"


class Unusable(Exception):
    """The data directory cannot be used; the message names the place and what to do."""


def prepare(data_dir: Path) -> None:
    """Make the directory, keep others out of all that is in it, and find out whether it is usable.

    Everything that this process and its children write afterwards is for its user alone.

    Raises:
        Unusable: it cannot be read or written, or its disk is full.
    """
    os.umask(OTHERS)
    for directory in (data_dir, *(data_dir / name for name in _WRITTEN)):
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.listdir(directory)
            _probe(directory)
        except OSError as error:
            raise Unusable(reason(directory, error)) from error
    tighten(data_dir)


def tighten(data_dir: Path) -> None:
    """Take from group and others what they may do with the directory and everything in it.

    Links are not followed. What belongs to another user stays as it is, and is named in the log. A
    directory that holds the user's home holds more than ours, and is left alone.
    """
    home = _home()
    if home is not None and home.is_relative_to(data_dir.resolve()):
        log.warning("%s contains a home directory: permissions inside it are not changed", data_dir)
        return
    for path in _tree(data_dir):
        try:
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode) and mode & OTHERS:
                os.chmod(path, stat.S_IMODE(mode) & ~OTHERS)
        except FileNotFoundError:  # a running service removes files of its own
            continue
        except OSError as error:
            log.warning("others may read %s: %s", path, error.strerror)


def reason(path: Path, error: OSError) -> str:
    """In one line: what is wrong with a place in the data directory, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {path} is full. Free some space on it, {_ELSEWHERE}."
    if error.errno == errno.EROFS:
        return f"{path} is on a read-only file system. Make it writable, {_ELSEWHERE}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"user {_user()} may not read and write {path}{_owner(path)}. Give it to this user "
            f"(chown -R {_user()} {path}), {_ELSEWHERE}."
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{path} is no directory. Move what is there away, {_ELSEWHERE}."
    return f"{path} cannot be used ({error.strerror or error}). Mend it, {_ELSEWHERE}."


def _probe(directory: Path) -> None:
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(bytes(_PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())


def _tree(top: Path) -> Iterator[str]:
    yield str(top)
    for directory, directories, files in os.walk(top):
        for name in (*directories, *files):
            yield os.path.join(directory, name)


def _home() -> Path | None:
    """The user's home; None of a user without one, as in a container."""
    try:
        return Path.home().resolve()
    except RuntimeError:
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _owner(path: Path) -> str:
    """Whose it is, where it is another's."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return ""
    if owner == os.getuid():
        return ""
    try:
        return f", which belongs to {pwd.getpwuid(owner).pw_name}"
    except KeyError:
        return f", which belongs to user {owner}"
