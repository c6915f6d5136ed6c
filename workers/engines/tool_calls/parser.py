"""The parser that all families share: where calls open, follow each other and end."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence

from workers.contract.tools import CallPart
from workers.engines.segments import possible_begin
from workers.engines.tool_calls.call_writer import CallWriter
from workers.engines.tool_calls.content import Content
from workers.engines.tool_calls.form import Form
from workers.engines.tool_calls.reader import Outcome, Reader

#: Characters that are held until it is known whether they are a call: its name comes early.
MOST_HELD = 64 * 1024
#: Characters of a mark, of any family.
_LONGEST_MARK = 64
_SPACE = re.compile(r"\s*")
_BROKEN = "break in their middle, and hold what came after that"


class _State(enum.Enum):
    CONTENT = enum.auto()
    #: After a mark that opens.
    OPENED = enum.auto()
    CALL = enum.auto()
    #: After a call.
    AFTER = enum.auto()
    #: In arguments that broke.
    BROKEN = enum.auto()


class FormParser:
    """Reads an answer by a form; see `base.CallParser`."""

    def __init__(
        self, form: Form, writer: CallWriter, reader: Callable[[CallWriter, str, bool], Reader]
    ) -> None:
        """`reader`: makes what reads one call, from the writer, the mark that opened it, and
        whether it stands in a list.
        """
        self._form = form
        self._writer = writer
        self._content = Content(writer)
        self._make_reader = reader
        self._reader = reader(writer, "", False)
        self._state = _State.CONTENT
        #: Text that is not read yet: what could still become a mark.
        self._text = ""
        self._at = 0
        #: What was read since the last part of a call, and is content if none comes of it.
        self._raw: list[str] = []
        self._raw_length = 0
        self._opened = ""
        #: The mark or the fence that opened what is read now; empty where none did.
        self._mark = ""
        #: What is read now stands in `[` and `]`.
        self._in_list = False
        #: The call that is read has its name.
        self._has_begun = False
        #: Only white space stands on the line so far.
        self._at_line_start = True

    @property
    def opened(self) -> str:
        """See `CallParser.opened`."""
        return self._opened

    @property
    def calls(self) -> int:
        """See `CallParser.calls`."""
        return self._writer.calls

    @property
    def notes(self) -> Sequence[str]:
        """See `CallParser.notes`."""
        return tuple(self._writer.notes)

    def push(self, text: str) -> list[str | CallPart]:
        """See `CallParser.push`."""
        self._text += text
        self._run(at_end=False)
        return self._writer.take()

    def finish(self) -> list[str | CallPart]:
        """See `CallParser.finish`."""
        self._run(at_end=True)
        if self._state is _State.BROKEN:
            self._writer.abandon(_BROKEN)
        elif self._state is _State.CALL and self._has_begun:
            if self._writer.tool is None and "".join(self._raw).strip():
                self._writer.note("The answer ends in the middle of a call.")
            self._reader.finish(self._text[self._at :])
            self._writer.abandon("end before they are whole")
        elif self._state is not _State.AFTER:
            self._keep(len(self._text))
            self._give_back("The answer ends in a call that has no name yet.")
        self._content.finish()
        return self._writer.take()

    def _run(self, *, at_end: bool) -> None:
        while self._step(at_end):
            pass
        self._text = self._text[self._at :]
        self._at = 0

    def _step(self, at_end: bool) -> bool:
        match self._state:
            case _State.CONTENT:
                return self._seek(at_end)
            case _State.OPENED:
                return self._open()
            case _State.CALL:
                return self._read()
            case _State.AFTER:
                return self._follow(at_end)
            case _State.BROKEN:
                return self._drain(at_end)

    def _seek(self, at_end: bool) -> bool:
        """Content, up to what may open a call."""
        text, form = self._text, self._form
        if self._at_line_start and form.begins_lines:
            begin = _end_of_space(text, self._at)
            self._show(begin)
            if begin == len(text):
                return False
            if form.may_become_fence(text, begin) and not at_end:
                return False
            fence = form.fence_at(text, begin)
            if fence or text[begin] in form.bare:
                self._enter(begin + len(fence), fence)
                return True
            self._at_line_start = False
        found = form.next_opening(text, self._at)
        if found is None:
            end = len(text) if at_end else possible_begin(text[self._at :], form.opens) + self._at
            self._show(end)
            return False
        if found[0] == "\n":
            self._show(found.end())
            self._at_line_start = True
            return True
        self._show(found.start())
        self._enter(found.end(), found[0])
        self._opened = found[0]
        return True

    def _show(self, end: int) -> None:
        self._content.push(self._text[self._at : end])
        self._at = end

    def _enter(self, end: int, mark: str) -> None:
        self._mark = mark
        self._keep(end)
        self._state = _State.OPENED
        self._has_begun = False
        self._in_list = mark.endswith("[")

    def _keep(self, end: int) -> None:
        """Text that is content if no call comes of it."""
        self._raw.append(self._text[self._at : end])
        self._raw_length += end - self._at
        self._at = end

    def _open(self) -> bool:
        self._keep(_end_of_space(self._text, self._at))
        if self._at == len(self._text):
            return self._held_too_long()
        if self._form.in_list and not self._in_list and self._text[self._at] == "[":
            self._keep(self._at + 1)
            self._in_list = True
        self._begin_call()
        return True

    def _begin_call(self) -> None:
        self._reader = self._make_reader(self._writer, self._mark, self._in_list)
        self._has_begun = False
        self._state = _State.CALL

    def _read(self) -> bool:
        end, outcome = self._reader.read(self._text, self._at)
        if outcome is Outcome.ARGUMENTS:
            self._at = end
            self._forget()
            return True
        self._keep(end)
        match outcome:
            case Outcome.MORE:
                return self._held_too_long()
            case Outcome.BEGUN:
                if not self._opened:
                    self._opened = "".join(self._raw)
                self._content.before_call()
                self._forget()
                self._has_begun = True
            case Outcome.DONE:
                self._forget()
                self._state = _State.AFTER
            case Outcome.NONE if self._writer.tool is not None:
                self._break()
            case Outcome.NONE:
                self._give_back(f"{self._mark} was not followed by a call.")
            case Outcome.BROKEN:
                self._break()
        return True

    def _follow(self, at_end: bool) -> bool:
        """After a call: another one, what closes, or content."""
        self._keep(_end_of_space(self._text, self._at))
        text, at, form = self._text, self._at, self._form
        if at == len(text):
            return self._held_too_long()
        if self._in_list and text[at] in ",]":
            self._keep(at + 1)
            if text[at] == ",":
                self._begin_call()
            else:
                self._in_list = False
                self._forget()
            return True
        if mark := form.closing_at(text, at):
            self._keep(at + len(mark))
            self._forget()
            return True
        if mark := form.opening_at(text, at):
            self._forget()
            self._enter(at + len(mark), mark)
            return True
        rest = text[at : at + _LONGEST_MARK]
        if possible_begin(rest, form.closes + form.opens) == 0:
            if not at_end:
                return False
            if len(rest) > 1 and possible_begin(rest, form.closes) == 0:
                self._at = len(text)  # the length cut what closes
        self._give_back()
        return True

    def _drain(self, at_end: bool) -> bool:
        """The rest of arguments that broke, up to the next mark."""
        form = self._form
        found = form.next_mark(self._text, self._at)
        begin = found.start() if found else len(self._text)
        if found is None and not at_end:
            begin = self._at + possible_begin(self._text[self._at :], form.closes + form.opens)
        self._writer.arguments(self._text[self._at : begin])
        self._at = begin
        if found is None:
            return False
        self._writer.abandon(_BROKEN)
        self._in_list = False
        self._state = _State.AFTER
        return True

    def _held_too_long(self) -> bool:
        """Whether what is held goes on as content."""
        if self._raw_length <= MOST_HELD:
            return False
        if self._writer.tool is not None:
            self._break()
        else:
            self._give_back("What opened like a call is too long for one.")
        return True

    def _break(self) -> None:
        self._writer.arguments("".join(self._raw))
        self._forget()
        self._state = _State.BROKEN

    def _give_back(self, note: str = "") -> None:
        """What was held is content."""
        raw = "".join(self._raw)
        # Only a mark says that a call was meant; after a name there was one.
        if note and self._mark in self._form.opens and not self._has_begun:
            self._writer.note(note)
        if self._writer.calls == 0:
            self._opened = ""
        self._forget()
        self._content.push(raw)
        self._in_list = False
        # Right after a call another may stand.
        _, line_break, last_line = raw.rpartition("\n")
        is_new_line = bool(line_break) and not last_line.strip()
        self._at_line_start = self._state is _State.AFTER or is_new_line
        self._state = _State.CONTENT

    def _forget(self) -> None:
        self._raw = []
        self._raw_length = 0


def _end_of_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]
