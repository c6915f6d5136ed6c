"""A repository of the hub: its files, and which of them are one model."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from presets.weights import split

#: What a safetensors model needs, of the files at the top of its repository: never code.
_SAFETENSORS = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
#: The same weights once more, in the form of their maker.
_TWICE = "consolidated*"
#: git's digest of a blob is one over this head and the bytes.
_GIT_HEAD = "blob {size}\0"
#: How many choices a message names.
_MOST_NAMED = 40
_CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class PullError(Exception):
    """Something could not be fetched; the message says what and what to do."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository, in one commit of it."""

    repo: str
    #: The commit, so that parts of one model are never of two.
    revision: str
    #: Its path in the repository.
    name: str
    size_bytes: int
    #: SHA-256 of a large file's bytes; None for a small one, which git keeps itself.
    sha256: str | None
    #: git's name of the blob, which is a small file's checksum.
    git_oid: str

    @property
    def local_name(self) -> str:
        """What it is called in the directory of its model."""
        return PurePosixPath(self.name).name

    @property
    def checksum(self) -> str:
        """The digest that its bytes must have, in hex.

        Raises:
            PullError: the hub gives none.
        """
        checksum = self.sha256 or self.git_oid
        if not _CHECKSUM.fullmatch(checksum):
            raise PullError(f"the hub gives no checksum of {self.name} in {self.repo}")
        return checksum

    def digest(self) -> hashlib._Hash:
        """What computes the checksum from the bytes."""
        if self.sha256:
            return hashlib.sha256()
        head = _GIT_HEAD.format(size=self.size_bytes).encode()
        return hashlib.sha1(head, usedforsecurity=False)


def gguf_files(files: Sequence[HubFile], repo: str, name: str) -> tuple[HubFile, ...]:
    """The files of a GGUF model: the one of this name, or all parts where it is split.

    Some repositories hold a model in parts that is known by its whole name.

    Raises:
        PullError: the repository has no such file, or not all parts of it.
    """
    by_name = {file.name: file for file in files}
    first = name if name in by_name else _split_of(by_name, name)
    if first is None:
        ggufs = sorted(
            file.name for file in files if file.name.endswith(".gguf") and file.name.isprintable()
        )
        there = f"it has {listed(ggufs)}" if ggufs else "it has no GGUF at all"
        raise PullError(f"{repo} has no file {name}; {there}")
    folder = PurePosixPath(first).parent
    names = [str(folder / part) for part in split.parts(PurePosixPath(first).name)]
    if gone := [part for part in names if part not in by_name]:
        raise PullError(f"{repo} has not all parts of {name}: {', '.join(gone)} is missing")
    return tuple(by_name[part] for part in names)


def listed(texts: Iterable[str]) -> str:
    """Some of the texts, for a message, and how many more there are."""
    named = list(texts)
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(named[:_MOST_NAMED]) + more


def safetensors_files(files: Sequence[HubFile], repo: str) -> tuple[HubFile, ...]:
    """The files that vLLM needs of a repository: configuration, tokenizer, weights.

    Raises:
        PullError: it has no configuration or no safetensors.
    """
    needed = [file for file in files if any(fnmatch.fnmatch(file.name, p) for p in _SAFETENSORS)]
    needed = [file for file in needed if "/" not in file.name]
    names = {file.name for file in needed}
    weights = {name for name in names if name.endswith(".safetensors")}
    if not weights or "config.json" not in names:
        raise PullError(f"{repo} has no config.json with *.safetensors at its top")
    twice = {name for name in weights if fnmatch.fnmatch(name, _TWICE)}
    if twice == weights:
        twice = set()
    return tuple(file for file in needed if file.name not in twice)


def _split_of(names: Iterable[str], name: str) -> str | None:
    path = PurePosixPath(name)
    for known in sorted(names):
        other = PurePosixPath(known)
        same = other.parent == path.parent and split.stem(other.name) == split.stem(path.name)
        if same and known.endswith(".gguf"):
            return known
    return None
