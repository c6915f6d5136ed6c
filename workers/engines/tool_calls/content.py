"""The content of an answer around its calls: white space beside a call is dropped."""

from __future__ import annotations

from workers.engines.tool_calls.call_writer import CallWriter

#: Characters of white space that are held until it is known what follows; of more the last.
_MOST_HELD = 256


class Content:
    """Gives content to the writer; an answer without a call stays as it is, to the character."""

    def __init__(self, writer: CallWriter) -> None:
        self._writer = writer
        self._space = ""
        #: Nothing but white space came.
        self.is_empty = True

    def push(self, text: str) -> None:
        """Content that comes next."""
        if self.is_empty and self._writer.calls:
            text = text.lstrip()  # it would begin with the space after a call
        text = self._space + text
        shown = text.rstrip()
        self._space = text[len(shown) :]
        if len(self._space) > _MOST_HELD:
            shown = text[:-_MOST_HELD]
            self._space = text[-_MOST_HELD:]
        self.is_empty &= not shown.strip()
        self._writer.text(shown)

    def before_call(self) -> None:
        """A call comes next."""
        self._space = ""

    def finish(self) -> None:
        """The answer ends."""
        if self._writer.calls == 0:
            self._writer.text(self._space)
        self._space = ""
