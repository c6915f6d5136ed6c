"""Text of which it is known, for each character, whether the template wrote it.

What is not known to be the template's is the caller's: an operation that is not followed here gives
a plain string, whose characters count as the caller's. So a caller's text never becomes a mark,
and a template that joins its marks in an unusual way loses them instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, SupportsIndex

from workers.engines.chat_template import meter

_CALLERS, _OWN = b"\0", b"\1"
_OWN_RUN = re.compile(rb"\x01+")


class TracedText(str):
    """A string with `own`: a byte for each character, 1 where the template wrote it."""

    own: bytes
    #: Counts its characters for as long as it exists.
    _claim: meter.Claim | None

    def __new__(cls, text: str, own: bytes | None = None) -> TracedText:
        """A text, all of it the caller's unless `own` says otherwise."""
        made = super().__new__(cls, text)
        made.own = _CALLERS * len(made) if own is None else own
        running = meter.current()
        made._claim = None if running is None else running.claim(len(made))
        return made

    def __str__(self) -> str:
        return self

    def __iter__(self) -> Iterator[str]:
        for place in range(len(self)):
            yield self[place]

    def __getitem__(self, key: SupportsIndex | slice) -> TracedText:
        part = str.__getitem__(self, key)
        if isinstance(key, slice):
            return TracedText(part, self.own[key])
        place = key.__index__()
        return TracedText(part, self.own[place : place + 1 or None])

    def __add__(self, other: str) -> TracedText:
        return join((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> TracedText:
        return join((other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> TracedText:
        count = max(0, times.__index__())
        meter.require_room(len(self) * count)
        return TracedText(str.__mul__(self, count), self.own * count)

    __rmul__ = __mul__

    def join(self, texts: Iterable[str]) -> TracedText:
        """See `str.join`."""
        pieces: list[str] = []
        for text in texts:
            if pieces:
                pieces.append(self)
            pieces.append(text)
        return join(pieces)

    def lstrip(self, characters: str | None = None) -> TracedText:
        """See `str.lstrip`."""
        rest = str.lstrip(self, characters)
        return TracedText(rest, self.own[len(self) - len(rest) :])

    def rstrip(self, characters: str | None = None) -> TracedText:
        """See `str.rstrip`."""
        rest = str.rstrip(self, characters)
        return TracedText(rest, self.own[: len(rest)])

    def strip(self, characters: str | None = None) -> TracedText:
        """See `str.strip`."""
        return self.lstrip(characters).rstrip(characters)

    def removeprefix(self, prefix: str, /) -> TracedText:
        """See `str.removeprefix`."""
        return self[len(prefix) :] if prefix and self.startswith(prefix) else self

    def removesuffix(self, suffix: str, /) -> TracedText:
        """See `str.removesuffix`."""
        return self[: -len(suffix)] if suffix and self.endswith(suffix) else self

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Any]:
        """See `str.split`."""
        return self._placed(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Any]:
        """See `str.rsplit`."""
        return self._placed(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[Any]:
        """See `str.splitlines`."""
        lines, begin = [], 0
        for line in str.splitlines(self, keepends=True):
            shown = line if keepends else (str.splitlines(line) or [""])[0]
            lines.append(TracedText(shown, self.own[begin : begin + len(shown)]))
            begin += len(line)
        return lines

    def partition(self, sep: str) -> tuple[TracedText, TracedText, TracedText]:
        """See `str.partition`."""
        return self._parted(self.find(sep), sep, (self, self[:0], self[:0]))

    def rpartition(self, sep: str) -> tuple[TracedText, TracedText, TracedText]:
        """See `str.rpartition`."""
        return self._parted(self.rfind(sep), sep, (self[:0], self[:0], self))

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> TracedText:
        """See `str.replace`."""
        times = str.count(self, old) if old else len(self) + 1
        meter.require_room(len(self) + times * len(new))
        if not old:
            return TracedText(str.replace(self, old, new, count))
        return TracedText(new, own_of(new)).join(self.split(old, count))

    def upper(self) -> TracedText:
        """See `str.upper`."""
        return self._recased(str.upper(self))

    def lower(self) -> TracedText:
        """See `str.lower`."""
        return self._recased(str.lower(self))

    def capitalize(self) -> TracedText:
        """See `str.capitalize`."""
        return self._recased(str.capitalize(self))

    def title(self) -> TracedText:
        """See `str.title`."""
        return self._recased(str.title(self))

    def ljust(self, width: SupportsIndex, fill: str = " ", /) -> str:
        """See `str.ljust`."""
        meter.require_width(width)
        return str.ljust(self, width, fill)

    def rjust(self, width: SupportsIndex, fill: str = " ", /) -> str:
        """See `str.rjust`."""
        meter.require_width(width)
        return str.rjust(self, width, fill)

    def center(self, width: SupportsIndex, fill: str = " ", /) -> str:
        """See `str.center`."""
        meter.require_width(width)
        return str.center(self, width, fill)

    def zfill(self, width: SupportsIndex, /) -> str:
        """See `str.zfill`."""
        meter.require_width(width)
        return str.zfill(self, width)

    def expandtabs(self, tabsize: SupportsIndex = 8) -> str:
        """See `str.expandtabs`."""
        meter.require_width(tabsize)
        meter.require_room(len(self) + str.count(self, "\t") * max(0, tabsize.__index__()))
        return str.expandtabs(self, tabsize)

    def _placed(self, parts: list[str], sep: str | None = None) -> list[Any]:
        """Parts that stand in this text one after the other."""
        placed, begin = [], 0
        gap = len(sep or "")
        for part in parts:
            begin = begin if sep else str.find(self, part, begin)
            placed.append(TracedText(part, self.own[begin : begin + len(part)]))
            begin += len(part) + gap
        return placed

    def _parted(
        self, at: int, sep: str, otherwise: tuple[TracedText, TracedText, TracedText]
    ) -> tuple[TracedText, TracedText, TracedText]:
        if not sep:
            raise ValueError("empty separator")
        end = at + len(sep)
        return (self[:at], self[at:end], self[end:]) if at >= 0 else otherwise

    def _recased(self, text: str) -> TracedText:
        # Some letters become two; which of them stand where is not worth knowing.
        return TracedText(text, self.own if len(text) == len(self) else None)


def own(text: str) -> TracedText:
    """A text that the template wrote."""
    return TracedText(text, _OWN * len(text))


def own_of(text: str) -> bytes:
    """Which characters of a text the template wrote; none of a plain string's."""
    return text.own if isinstance(text, TracedText) else _CALLERS * len(text)


def own_runs(text: TracedText) -> Iterator[str]:
    """The stretches of a text that the template wrote."""
    plain = str.__str__(text)
    for run in _OWN_RUN.finditer(text.own):
        yield plain[run.start() : run.end()]


def join(texts: Iterable[str]) -> TracedText:
    """The texts in a row."""
    pieces: list[str] = []
    length = 0
    for text in texts:
        length += len(text)
        meter.require_room(length)
        pieces.append(text)
    return TracedText("".join(pieces), b"".join(map(own_of, pieces)))
