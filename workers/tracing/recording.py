"""Recording: the spans of this process, on their way to the collector; nothing where it is off.

Off, neither the SDK nor its exporters are imported. On, spans wait in a bounded queue, which
another thread sends: nothing here waits for a collector.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from presets import installation
from workers.contract.trace_context import TraceContext
from workers.settings import Settings
from workers.tracing.span import Attribute, Span

log = logging.getLogger(__name__)

#: Seconds that a process which ends waits for its last spans to be sent.
_STOPS_WITHIN_S = 2.0


class OpenSpan(Protocol):
    """The span of work that has begun: others are its parts already."""

    context: TraceContext

    def end(self, attributes: Mapping[str, Attribute], error: str) -> None:
        """It has ended; `error` is the code of its error, or ""."""


class Recorder(Protocol):
    """What spans are given to."""

    def record(self, span: Span) -> None:
        """Take a span of a trace that is recorded."""

    def begin(
        self, name: str, parent: TraceContext | None, attributes: Mapping[str, Attribute]
    ) -> OpenSpan:
        """Begin the span of a request; the sampler decides whether its trace is recorded."""

    def stop(self) -> None:
        """Send what there is."""


#: Called after each attempt to send spans: how many, and whether the collector took them.
OnExport = Callable[[int, bool], None]

_recorder: Recorder | None = None
_with_content = False


def configure(settings: Settings, process: str, on_export: OnExport) -> None:
    """Record the spans of this process from now on, where it is set; after any fork.

    What cannot work is logged, and nothing is recorded.
    """
    global _with_content
    if not settings.sends_traces or _is_disabled():
        return
    try:
        from workers.tracing.sdk import SdkRecorder
    except ImportError as error:
        hint = installation.command("otel")
        log.warning("no traces are sent, %s is missing; install it with: %s", error.name, hint)
        return
    try:
        recorder = SdkRecorder(settings, process, on_export)
    except Exception:  # the SDK refuses a variable that it reads itself
        log.warning("no traces are sent", exc_info=True)
        return
    _with_content = settings.otel_content
    use(recorder)
    atexit.register(stop)


def _is_disabled() -> bool:
    """Whether the SDK's own switch is off: its spans would have no ids then."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def use(recorder: Recorder | None) -> None:
    """Give spans to this recorder; None: to nobody."""
    global _recorder
    _recorder = recorder


def is_on() -> bool:
    """Whether spans of any trace are recorded."""
    return _recorder is not None


def is_recorded(trace: TraceContext | None) -> bool:
    """Whether a span of this trace would be recorded: else none need be made."""
    return _recorder is not None and trace is not None and trace.sampled


def has_content() -> bool:
    """Whether spans have what is said to models and what they answer."""
    return _with_content


def record(*spans: Span) -> None:
    """Record these spans; never raises: what is traced has ended well without it."""
    if _recorder is None:
        return
    try:
        for span in spans:
            if span.parent.sampled:
                _recorder.record(span)
    except Exception:
        log.exception("a span could not be recorded")


def begin(
    name: str, parent: TraceContext | None, attributes: Mapping[str, Attribute]
) -> OpenSpan | None:
    """Begin the span of a request; None where nothing is recorded."""
    return None if _recorder is None else _recorder.begin(name, parent, attributes)


def stop() -> None:
    """Send the last spans, within bounds: a collector that hangs holds no process up."""
    if _recorder is not None:
        sending = threading.Thread(target=_recorder.stop, name="last-spans", daemon=True)
        sending.start()
        sending.join(_STOPS_WITHIN_S)
