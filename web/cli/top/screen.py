"""The screen: text that takes the place of the text before it, until a key is pressed."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator

#: q, Q and Ctrl-D; Ctrl-C is a signal.
_QUIT = b"qQ\x04"
#: Another screen, without a cursor; and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"


class Screen:
    """A terminal of its own for one program."""

    def show(self, lines: list[str]) -> None:
        """Let this be all that is shown."""
        text = "".join(f"{line}{_CLEAR_LINE}\r\n" for line in lines)
        sys.stdout.write(f"{_HOME}{text}{_CLEAR_REST}")
        sys.stdout.flush()

    def is_left(self, within_s: float) -> bool:
        """Whether its user leaves within so long; returns as soon as that is so."""
        until = time.monotonic() + within_s
        while (left_s := until - time.monotonic()) > 0:
            if select.select([sys.stdin], [], [], left_s)[0]:
                keys = os.read(sys.stdin.fileno(), 64)
                if not keys or any(key in _QUIT for key in keys):
                    return True
        return False


@contextlib.contextmanager
def opened() -> Iterator[Screen]:
    """A screen; what was on the terminal before is there again afterwards."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    sys.stdout.write(_ENTER)
    try:
        yield Screen()
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
