"""Trace context: which trace a request belongs to, as W3C's headers carry it between services.

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/, level 1.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.fields import known_fields

#: Names of the headers.
TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
#: A newer version may add fields at the end; version ff is none.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
#: Printable ASCII, and as many characters as every service has to pass on.
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span that what follows belongs to."""

    #: 32 and 16 hexadecimal digits, neither all zero.
    trace_id: str
    span_id: str
    #: Whether whoever began the trace records it.
    sampled: bool = False
    #: What other tracing systems say to each other; passed on.
    state: str = ""

    @classmethod
    def from_headers(cls, traceparent: str, tracestate: str = "") -> TraceContext | None:
        """What the headers of a request say; None where they say nothing, or nonsense."""
        found = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
        if found is None or (found["version"] == "00" and found["rest"]):
            return None
        if not int(found["trace"], 16) or not int(found["span"], 16):
            return None
        state = tracestate.strip(" \t")
        return cls(
            found["trace"],
            found["span"],
            bool(int(found["flags"], 16) & _SAMPLED),
            state if _TRACESTATE.fullmatch(state) else "",
        )

    def child(self, span_id: str) -> TraceContext:
        """Another span of the same trace."""
        return dataclasses.replace(self, span_id=span_id)

    def headers(self) -> dict[str, str]:
        """The headers that say it."""
        flags = _SAMPLED if self.sampled else 0
        named = {TRACEPARENT: f"00-{self.trace_id}-{self.span_id}-{flags:02x}"}
        return {**named, TRACESTATE: self.state} if self.state else named

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TraceContext:
        """Rebuild what `dataclasses.asdict` made of one."""
        return cls(**known_fields(cls, data))
