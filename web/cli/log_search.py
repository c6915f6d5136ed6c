"""Lines of logs in which an id stands: of a job, of a request, or of a trace."""

from __future__ import annotations

import heapq
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Bytes of a line; what is longer counts as several.
_LONGEST_LINE = 2**20
#: Lines after one that was found which belong to it, as those of a traceback do.
_MOST_FOLLOWING = 200
#: Jobs whose lines are shown for one request or trace.
_MOST_JOBS = 100
_JOB = re.compile(rb"\b(?:chatcmpl|cmpl)-[0-9a-f]{32}\b")
#: A line begins with its time, or is a JSON object.
_BEGINS = re.compile(rb"\d{4}-\d\d-\d\dT|\{")


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line with the id in it, and those that belong to it."""

    #: As the line has it, in UTC.
    time: str
    text: str


class LineFilter:
    """Passes the lines of one log in which an id stands, with those that belong to them."""

    def __init__(self, ids: Iterable[str]) -> None:
        alternatives = b"|".join(re.escape(each.encode()) for each in ids)
        self._ids = re.compile(rb"(?<![\w-])(?:" + alternatives + rb")(?![\w-])")
        self._following = 0

    def passes(self, line: bytes) -> bool:
        """Whether this line, the next of its log, is one."""
        if _BEGINS.match(line):
            self._following = _MOST_FOLLOWING if self._ids.search(line) else 0
            return self._following > 0
        self._following -= 1
        return self._following > 0


def search(files: Mapping[str, Path], wanted: str, most: int) -> list[FoundLine]:
    """The last `most` lines with the id `wanted` in these logs and those before them, by time.

    `files` are the logs by what stands before each of their lines. Lines of its jobs count too,
    where they name the job alone.
    """
    jobs = _jobs(files.values(), wanted)
    each = [
        deque(_found(path, {wanted, *jobs}, prefix), maxlen=most) for prefix, path in files.items()
    ]
    return list(deque(heapq.merge(*each, key=lambda line: line.time), maxlen=most))


def _jobs(paths: Iterable[Path], wanted: str) -> set[str]:
    jobs: set[str] = set()
    for path in paths:
        lines = LineFilter([wanted])
        for line in _lines(path):
            if lines.passes(line) and len(jobs) < _MOST_JOBS:
                jobs.update(found.decode() for found in _JOB.findall(line))
    return jobs


def _found(path: Path, ids: Iterable[str], prefix: str) -> Iterator[FoundLine]:
    lines = LineFilter(ids)
    time = ""
    for line in _lines(path):
        if lines.passes(line):
            text = line.decode(errors="replace").rstrip("\n")
            time = _time(text) or time
            yield FoundLine(time, prefix + text)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a log, those of the file before it first."""
    for file in (path.with_suffix(".log.1"), path):
        try:
            with file.open("rb") as log:
                yield from iter(lambda: log.readline(_LONGEST_LINE), b"")
        except FileNotFoundError:
            continue


def _time(line: str) -> str:
    """When a line was written; "" for one that does not say it."""
    if not line.startswith("{"):
        first = line.partition(" ")[0]
        return first if _BEGINS.match(first.encode()) else ""
    try:
        return str(json.loads(line)["time"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
