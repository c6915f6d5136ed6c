"""A prompt file: the state of a sequence on disk, and what it is the state of.

    magic           8 bytes, with the version of this layout
    digest          16 bytes, of all that follows up to the state
    lengths         of the head in bytes (4), of the prompt in tokens (4), of the state in bytes (8)
    head            JSON: the identity of the model, the API key, the job and its priority
    token ids       4 bytes each
    state           as the engine gave it
    digest          16 bytes, of the first digest and the state

Numbers are little-endian. The digests, XXH3 of 128 bits, find what was cut, changed, or put
together from two files. They are no seal: who may write here has the rights of the service's user.
"""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from workers.engines.prompt_store.prompt_directory import file_name

_MAGIC = b"prompt\x00\x01"
_DIGEST_BYTES = 16
_LENGTHS = struct.Struct("<IIQ")
_FIXED_BYTES = len(_MAGIC) + _DIGEST_BYTES + _LENGTHS.size
#: No honest head is longer: two ids, two numbers and a hash.
_MOST_HEAD_BYTES = 4096
#: Bytes that are read or written, and hashed, at once: they stay in a CPU's cache.
_CHUNK_BYTES = 2**20


class DamagedFile(Exception):
    """A prompt file was cut or changed, or is none."""


class Interrupted(Exception):
    """Writing or reading a prompt file was given up."""


@dataclass(frozen=True, slots=True)
class PromptHead:
    """What a state is the state of."""

    #: What must be alike where the state is used: the model, and how its states are made.
    identity: str
    tokens: list[int]
    #: The API key that has sent them; None: none was needed.
    owner: str | None
    #: So many of the first tokens had been sent by other keys too.
    public_length: int
    #: The job that left the state, and its priority.
    job: str
    priority: int
    state_bytes: int

    @property
    def file_name(self) -> str:
        """The name of its file: what is alike has one."""
        ids = np.asarray(self.tokens, dtype="<i4").tobytes()
        return file_name(self.job, repr(self.owner).encode() + b"\0" + ids)

    @property
    def file_bytes(self) -> int:
        """The size of its file."""
        return _FIXED_BYTES + len(self._packed()) + self.state_bytes + _DIGEST_BYTES

    def pack(self) -> bytes:
        """What stands in its file before the state."""
        packed = self._packed()
        head_bytes = len(packed) - 4 * len(self.tokens)
        rest = _LENGTHS.pack(head_bytes, len(self.tokens), self.state_bytes) + packed
        return _MAGIC + xxhash.xxh3_128_digest(rest) + rest

    def _packed(self) -> bytes:
        head = [self.identity, self.owner, self.public_length, self.job, self.priority]
        return json.dumps(head).encode() + np.asarray(self.tokens, dtype="<i4").tobytes()


def write(
    file: BinaryIO,
    head: PromptHead,
    state: NDArray[np.uint8],
    gives_up: Callable[[], bool] = lambda: False,
) -> None:
    """Write a whole file; `gives_up` is asked again and again whether to end before that.

    Raises:
        Interrupted: it was given up.
        OSError: the disk is full, or fails.
    """
    begin = head.pack()
    file.write(begin)
    digest = _state_digest(begin)
    data = state.data
    for start in range(0, len(data), _CHUNK_BYTES):
        if gives_up():
            raise Interrupted
        chunk = data[start : start + _CHUNK_BYTES]
        digest.update(chunk)
        file.write(chunk)
    file.write(digest.digest())


def read_head(path: Path) -> PromptHead:
    """What a file holds the state of; the state is not looked at.

    Raises:
        DamagedFile: this is no whole prompt file.
        OSError: it cannot be read.
    """
    with _opened(path) as file:
        head, _ = _read_head(file)
        return head


def read_state(
    path: Path, head: PromptHead, gives_up: Callable[[], bool] = lambda: False
) -> NDArray[np.uint8]:
    """The state in a file; `gives_up` as in `write`.

    Raises:
        Interrupted: it was given up.
        DamagedFile: it is damaged, or another prompt's file.
        OSError: it cannot be read.
    """
    with _opened(path) as file:
        found, begin = _read_head(file)
        if found != head:
            raise DamagedFile("it is another prompt's")
        state = np.empty(head.state_bytes, dtype=np.uint8)
        digest, data = _state_digest(begin), state.data
        for start in range(0, len(data), _CHUNK_BYTES):
            if gives_up():
                raise Interrupted
            chunk = data[start : start + _CHUNK_BYTES]
            if file.readinto(chunk) != len(chunk):  # type: ignore[attr-defined]
                raise DamagedFile("it ends early")
            digest.update(chunk)
        if file.read(_DIGEST_BYTES + 1) != digest.digest():
            raise DamagedFile("its state has another digest")
        return state


def _opened(path: Path) -> BinaryIO:
    """A regular file, opened without following links or waiting for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise DamagedFile("it is no regular file")
    return file


def _read_head(file: BinaryIO) -> tuple[PromptHead, bytes]:
    """The head, and the bytes that it stands in."""
    fixed = file.read(_FIXED_BYTES)
    if len(fixed) < _FIXED_BYTES or not fixed.startswith(_MAGIC):
        raise DamagedFile("it is no prompt file")
    head_bytes, tokens, state_bytes = _LENGTHS.unpack(fixed[-_LENGTHS.size :])
    packed_bytes = head_bytes + 4 * tokens
    whole = _FIXED_BYTES + packed_bytes + state_bytes + _DIGEST_BYTES
    if head_bytes > _MOST_HEAD_BYTES or os.fstat(file.fileno()).st_size != whole:
        raise DamagedFile("it is cut")
    packed = file.read(packed_bytes)
    begin = fixed + packed
    digest = begin[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES]
    if xxhash.xxh3_128_digest(begin[len(_MAGIC) + _DIGEST_BYTES :]) != digest:
        raise DamagedFile("its head has another digest")
    try:
        identity, owner, public_length, job, priority = json.loads(packed[:head_bytes])
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedFile("its head cannot be read") from error
    ids = np.frombuffer(packed[head_bytes:], dtype="<i4").tolist()
    head = PromptHead(identity, ids, owner, public_length, job, priority, state_bytes)
    return head, begin


def _state_digest(begin: bytes) -> Any:
    return xxhash.xxh3_128(begin[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES])
