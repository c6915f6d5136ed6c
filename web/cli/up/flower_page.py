"""Whether Flower answers, which is said once: when it does, or why it cannot."""

from __future__ import annotations

from collections.abc import Callable

from web.cli.up.supervisor import Child
from workers.settings import Settings

#: What Flower says when it listens: that the port was free before does not mean that it has it.
_LISTENS = "Visit me at"


class FlowerPage:
    """Looks at the process of Flower until there is something to say of it."""

    def __init__(self, settings: Settings, child: Child | None, say: Callable[[str], None]) -> None:
        """`child` is None where Flower is not wanted."""
        self._address = f"http://{settings.flower_bind}"
        self._child = child
        self._say = say

    def look(self) -> None:
        """Say where it is once it listens, or why it was given up."""
        if self._child is None:
            return
        if self._child.given_up:
            self._say(f"warning: Flower is not started: {self._child.last_lines(1).strip()}")
        elif self._child.running and _LISTENS in self._child.said():
            self._say(f"Flower: {self._address}")
        else:
            return
        self._child = None
