"""What `up` says of its front end: what it waits for, and that requests are answered."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from web.cli.up import readiness
from workers.settings import Settings

#: How often a front end that is not ready is asked: while it starts, and once some models answer.
_ASK_S, _ASK_AGAIN_S = 0.1, 2.0


class Announcement:
    """Says once that requests are answered; until then what is waited for."""

    def __init__(self, settings: Settings, model: str, say: Callable[[str], None]) -> None:
        """`model` stands in the example, where it answers."""
        self._settings = settings
        self._model = model
        self._say = say
        self._next_look = 0.0
        self._waited_for = ""
        #: Some or all models answer.
        self.answers = False
        self._is_whole = False

    def look(self) -> None:
        """Ask the front end, as long as it is not whole."""
        if self._is_whole or time.monotonic() < self._next_look:
            return
        seen = readiness.read(readiness.address(self._settings))
        self._is_whole = seen.is_whole
        if seen.is_whole:
            self._say("every model answers" if self.answers else self._lines(self._model))
            self.answers = True
        elif seen.serving and not self.answers:
            for model, why in seen.failed.items():
                self._say(f"warning: {model} is not served: {why}")
            first = self._model if self._model in seen.serving else seen.serving[0]
            self._say(self._lines(first))
            self.answers = True
        elif seen.reason != self._waited_for and not self.answers:
            self._say(f"waiting: {seen.reason}")
            self._waited_for = seen.reason
        self._next_look = time.monotonic() + (_ASK_AGAIN_S if self.answers else _ASK_S)

    def _lines(self, model: str) -> str:
        return _ready_lines(self._settings, model)


def _ready_lines(settings: Settings, model_id: str) -> str:
    body = {"model": model_id, "messages": [{"role": "user", "content": "Say hello."}]}
    key = "    -H 'Authorization: Bearer <your key>' \\\n" if settings.has_keys else ""
    return (
        f"ready: {readiness.address(settings)}\n\n"
        f"  curl {readiness.address(settings)}/v1/chat/completions \\\n"
        "    -H 'Content-Type: application/json' \\\n"
        f"{key}"
        f"    -d '{json.dumps(body)}'\n\n"
        f"logs: {settings.data_dir / 'logs'}   stop: Ctrl-C"
    )
