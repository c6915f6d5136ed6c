"""A command in a pseudo-terminal of 80 columns, as its user sees and types it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import pyte

from tests.support.service import ROOT

COLUMNS, ROWS = 80, 200
#: The longest until something is shown on a busy machine: imports take seconds there.
SHOWN_WITHIN_S = 30.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>78]")


class Terminal:
    """One command, and the screen that it writes to."""

    def __init__(self, service, *arguments, **changes):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {**service.environment, "TERM": "xterm-256color", **changes}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "web.cli", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.raw = b""
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._screen.write_process_input = lambda text: os.write(self._master, text.encode())
        self._stream = pyte.ByteStream(self._screen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        os.close(self._master)

    @property
    def text(self):
        """What is on the screen, without the spaces at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def type(self, keys):
        """Press keys."""
        os.write(self._master, keys.encode())

    def await_text(self, text, times=1):
        """Wait until the screen shows the text so often; returns the screen's whole text."""
        deadline = time.monotonic() + SHOWN_WITHIN_S
        while self.text.count(text) < times:
            assert self._read(deadline), f"{text!r} is not shown {times} times:\n{self.text}"
        return self.text

    def end(self):
        """Wait until the command has ended; returns its exit status."""
        deadline = time.monotonic() + SHOWN_WITHIN_S
        while self._read(deadline):
            pass
        return self.process.wait(10)

    def written_lines(self):
        """The lines that the command wrote, however long, without colours."""
        text = _ESCAPES.sub("", self.raw.decode())
        return text.replace("\r\n", "\n").removesuffix("\n").split("\n")

    def _read(self, deadline):
        """Take in what comes next; False where nothing does any longer."""
        left = max(0.0, deadline - time.monotonic())
        if not select.select([self._master], [], [], left)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux' end of a pseudo-terminal
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


def _take_terminal():
    """Make the standard input the controlling terminal: Ctrl-C is a signal then."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
