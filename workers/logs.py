"""Logs: one line each, on the console or as JSON, with request, job and model on it.

Prompts and answers are not logged, except the messages of accepted requests where
INFERENCE_LOG_PROMPTS asks for them. What might quote one by accident is left out: messages of
errors about a request (`InferenceError.for_log`), of exceptions that name the value they met, and
what libraries say of frames they carry.
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

from workers.settings import Settings

#: What stands on a line beside its message, by name.
Fields = Mapping[str, str | float]

_fields: contextvars.ContextVar[Fields] = contextvars.ContextVar("fields")

#: Loggers whose INFO lines tell of their own workings, not of ours; those of websockets' DEBUG have
#: what its frames carry.
_CHATTY = (
    "celery",
    "kombu",
    "amqp",
    "gunicorn.access",
    "httpx",
    "httpcore",
    "werkzeug",
    "websockets",
)
#: Exceptions whose messages name the value that was wrong, which may be a caller's text.
_QUOTING = (ValueError, LookupError)
_WITHHELD = "[its message may quote a request; INFERENCE_LOG_PROMPTS=true shows it]"

#: A request's path may hold line breaks and colours: a line must not forge another.
_UNPRINTABLE = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    # Line ends of Unicode, and marks that turn the order of what is shown.
    **{
        code: f"\\u{code:04x}"
        for code in (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
    },
}


@contextmanager
def bound(**fields: str | float) -> Iterator[None]:
    """Put these fields on every line that this thread logs inside; empty ones are left out."""
    given = {name: value for name, value in fields.items() if value != ""}
    token = _fields.set({**_fields.get({}), **given})
    try:
        yield
    finally:
        _fields.reset(token)


def bound_fields() -> Fields:
    """The fields that lines of this thread have now, for lines that another thread logs later."""
    return _fields.get({})


def configure(settings: Settings, process: str) -> None:
    """Send every log line of this process to standard error, in the form that is set."""
    handler = _Handler(sys.stderr)
    handler.addFilter(_add_fields)
    as_json = settings.log_format == "json"
    kind = _JSON if as_json else _Console
    handler.setFormatter(kind(process, quotes=settings.log_prompts))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for entry in settings.log_levels:
        module, _, level = entry.partition("=")
        logging.getLogger(module).setLevel(level)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; where that fails, as on a full disk, it says so once it works again."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._failed = 0
        self._why = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; called by one thread at a time."""
        if self._failed:
            failed, self._failed = self._failed, 0
            with contextlib.suppress(OSError):
                self.stream.write(self.terminator)  # the last line may have been cut
            text = f"{failed} lines of this log could not be written: {self._why}"
            super().emit(_warning(text))
            if self._failed:
                self._failed = failed + 1
                return
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Count a line that could not be written; another error is a mistake of ours and shown."""
        error = sys.exception()
        if isinstance(error, OSError):
            self._failed += 1
            self._why = error.strerror or str(error)
        else:
            super().handleError(record)


def _warning(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)


def _add_fields(record: logging.LogRecord) -> bool:
    record.fields = _fields.get({})  # of the thread that logs
    return True


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds")


class _Formatter(logging.Formatter):
    def __init__(self, process: str, *, quotes: bool) -> None:
        super().__init__()
        self._process = process
        self._quotes = quotes

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        _, error, _ = ei
        return "" if error is None else "".join(self._traceback(error)).rstrip()

    def _traceback(self, error: BaseException) -> Iterator[str]:
        """As Python shows it, the first cause first, without messages that quote."""
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is not None:
            yield from self._traceback(before)
            yield "\nWhich led to:\n\n"
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
        quotes = isinstance(error, _QUOTING) or getattr(error, "quotes_request", False)
        message = _WITHHELD if quotes and not self._quotes else str(error)
        yield f"{type(error).__module__}.{type(error).__qualname__}: {message}\n"


class _Console(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: Fields = getattr(record, "fields", {})
        suffix = "".join(f" {name}={value}" for name, value in fields.items())
        suffix = suffix.translate(_UNPRINTABLE)
        message = record.getMessage().translate(_UNPRINTABLE)
        line = f"{_time(record)} {record.levelname:<7} [{self._process}] {message}"
        if record.exc_info:
            return f"{line}{suffix}\n{self.formatException(record.exc_info)}"
        return line + suffix


class _JSON(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # ASCII: a terminal of another encoding would otherwise make it something else than JSON.
        return json.dumps(line)
