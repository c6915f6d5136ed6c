"""Logs: one line each, on the console or as JSON, with request, job and model on it.

Prompts and answers are not logged, except the messages of accepted requests where
INFERENCE_LOG_PROMPTS asks for them.
"""

from __future__ import annotations

import contextvars
import datetime
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from workers.settings import Settings

_fields: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("fields")

#: Loggers whose INFO lines tell of their own workings, not of ours.
_CHATTY = ("celery", "kombu", "amqp", "gunicorn.access", "httpx", "werkzeug")

#: A request's path may hold line breaks and colours: a line must not forge another.
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Put these fields on every line that this thread logs inside; empty ones are left out."""
    told = {name: value for name, value in fields.items() if value}
    token = _fields.set({**_fields.get({}), **told})
    try:
        yield
    finally:
        _fields.reset(token)


def configure(settings: Settings, process: str) -> None:
    """Send every log line of this process to standard error, in the form that is set."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_add_fields)
    as_json = settings.log_format == "json"
    handler.setFormatter(_JSON(process) if as_json else _Console(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _add_fields(record: logging.LogRecord) -> bool:
    record.fields = _fields.get({})
    return True


def _time(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds")


class _Console(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, str] = getattr(record, "fields", {})
        told = "".join(f" {name}={value}" for name, value in fields.items())
        told = told.translate(_UNPRINTABLE)
        message = record.getMessage().translate(_UNPRINTABLE)
        line = f"{_time(record)} {record.levelname:<7} [{self._process}] {message}"
        if record.exc_info:
            return f"{line}{told}\n{self.formatException(record.exc_info)}"
        return line + told


class _JSON(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

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
