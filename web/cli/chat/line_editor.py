"""The line editor of a conversation: history, completion, several lines."""

from __future__ import annotations

from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from web.cli.chat.slash import COMMANDS

#: A history larger than this begins anew; the one before is kept.
_LARGEST_HISTORY_BYTES = 2**20
QUOTES = '"""'


class LineEditor:
    """Reads messages from the terminal."""

    def __init__(self, history_file: Path) -> None:
        # Ctrl-J stays what Enter is: as that comes what was typed before there was a prompt.
        keys = KeyBindings()
        keys.add("escape", "enter")(_new_line)
        self._session: PromptSession[str] = PromptSession(
            history=_history(history_file),
            completer=WordCompleter([f"/{name}" for name in COMMANDS], sentence=True),
            complete_while_typing=False,
            key_bindings=keys,
            multiline=Condition(lambda: goes_on(self._session.default_buffer.text)),
            prompt_continuation="... ",
        )

    def read(self) -> str:
        """One message.

        Raises:
            EOFError: the user leaves, with Ctrl-D.
            KeyboardInterrupt: the user gives the line up, with Ctrl-C.
        """
        return unquoted(self._session.prompt("> "))


def goes_on(text: str) -> bool:
    """Whether Enter begins another line: within quotes, or after a backslash."""
    if text.lstrip().startswith(QUOTES):
        return text.count(QUOTES) < 2
    return text.endswith("\\")


def unquoted(text: str) -> str:
    """What was typed, without the marks of several lines."""
    text = text.strip()
    if text.startswith(QUOTES):
        return text.removeprefix(QUOTES).removesuffix(QUOTES).strip()
    return text.replace("\\\n", "\n")


def _new_line(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


def _history(file: Path) -> History:
    """Kept in a file that only its owner reads; in memory where there can be none."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        if file.stat().st_size > _LARGEST_HISTORY_BYTES:
            file.replace(file.with_suffix(".old"))
            file.touch(mode=0o600)
        with file.open("ab"):
            pass
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))
