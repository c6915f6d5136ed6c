"""From token bytes to text that can be shown: whole characters, sorted, no stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workers.engines.reasoning import Plain, Splitter
from workers.engines.segments import Segment, possible_begin


@dataclass(frozen=True, slots=True)
class Shown:
    """Text that can be shown: of the content, and of what the model thinks."""

    text: str = ""
    reasoning: str = ""

    def __add__(self, other: Shown) -> Shown:
        return Shown(self.text + other.text, self.reasoning + other.reasoning)


class TextAssembler:
    """Joins the bytes of one answer's tokens.

    How the bytes are split over tokens does not change the text. Of several stop strings the one
    that is complete first ends the answer; where two end together, the longer. They are looked for
    in the content alone: a blank line or a number that ends an answer is common in a thought, which
    would leave the answer empty.
    """

    def __init__(self, stop: Sequence[str] = (), splitter: Splitter | None = None) -> None:
        """`splitter`: sorts thought from content; None: all is content."""
        self._stop = tuple(text for text in stop if text)
        self._splitter = splitter or Plain()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        #: A stop string was met; the text before it has been returned.
        self.stopped = False
        #: Tokens pushed whose text is thought, the tags around it included.
        self.reasoning_tokens = 0

    @property
    def thinking(self) -> bool:
        """The model thinks."""
        return self._splitter.thinking

    @property
    def answering(self) -> bool:
        """Content has begun, or what comes next is content whatever it is."""
        return self._splitter.answering

    def push(self, piece: bytes) -> Shown:
        """Take a token's bytes; returns the text that can be shown by now, often none."""
        if self.stopped:
            return Shown()
        was_thinking = self.thinking
        segments = self._splitter.push(self._decoder.decode(piece))
        if was_thinking or self.thinking or any(segment.is_thought for segment in segments):
            self.reasoning_tokens += 1
        return self._shown(segments)

    def finish(self, *, cut: bool = False) -> Shown:
        """What was held back, when the answer ends without a stop string; nothing after one.

        Bytes that complete no character become U+FFFD. Of an answer that was `cut`, at its last
        token, they are left out: the model would have completed the character.
        """
        if self.stopped:
            return Shown()
        rest = "" if cut else self._decoder.decode(b"", final=True)
        segments = self._splitter.push(rest)
        shown = self._shown(segments + self._splitter.finish())
        held, self._held = self._held, ""
        return shown + Shown(held)

    def _shown(self, segments: Iterable[Segment]) -> Shown:
        shown = Shown()
        for segment in segments:
            shown += (
                Shown(reasoning=segment.text)
                if segment.is_thought
                else Shown(self._content(segment.text))
            )
            if self.stopped:
                break
        return shown

    def _content(self, text: str) -> str:
        text = self._held + text
        matches = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if matches:
            self.stopped = True
            self._held = ""
            return text[: min(matches)[1]]
        begin = possible_begin(text, self._stop)
        self._held = text[begin:]
        return text[:begin]
