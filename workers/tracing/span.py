"""A span: what is recorded of one piece of work once it has ended."""

from __future__ import annotations

import enum
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workers.contract.trace_context import TraceContext

Attribute = str | bool | int | float | Sequence[str]

#: Bytes of a span's id.
_ID_BYTES = 8


class Kind(enum.Enum):
    """Where the work stands between services, in OpenTelemetry's words."""

    INTERNAL = "INTERNAL"
    #: It answers a request.
    SERVER = "SERVER"
    #: It asks another service.
    CLIENT = "CLIENT"


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work. Times are Unix times in nanoseconds, by the clock of who records it."""

    name: str
    #: 16 hexadecimal digits.
    id: str
    #: The span that it is a part of.
    parent: TraceContext
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    kind: Kind = Kind.INTERNAL
    #: The code of the error that it ended with; "" where it did not.
    error: str = ""
    #: Ids of spans of the same trace that it goes on after.
    after: tuple[str, ...] = ()

    @property
    def context(self) -> TraceContext:
        """What its parts have as their parent."""
        return self.parent.child(self.id)


def id_of(*parts: object) -> str:
    """The id of the span that is about this: the same in every process, and no other's."""
    about = "|".join(map(str, parts)).encode()
    return hashlib.blake2b(about, digest_size=_ID_BYTES).hexdigest()


def ns_ago(milliseconds: float, now_ns: int | None = None) -> int:
    """When something was that was so long ago."""
    return (time.time_ns() if now_ns is None else now_ns) - int(milliseconds * 1e6)
