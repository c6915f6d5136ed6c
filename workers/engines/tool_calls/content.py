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
        shown = text.rstrip()
        if shown:
            # Before the first words, and after a call, white space would begin the content.
            space = self._space if self._writer.calls == 0 or not self.is_empty else ""
            text = space + (text if space or self._writer.calls == 0 else text.lstrip())
            shown = text.rstrip()
            self.is_empty = False
            self._writer.text(shown)
            self._space = text[len(shown) :]
        else:
            self._space += text
        if len(self._space) > _MOST_HELD and self._writer.calls == 0:
            self._writer.text(self._space[:-_MOST_HELD])
        self._space = self._space[-_MOST_HELD:]

    def before_call(self) -> None:
        """A call comes next."""
        self._space = ""

    def finish(self) -> None:
        """The answer ends."""
        if self._writer.calls == 0:
            self._writer.text(self._space)
        self._space = ""
