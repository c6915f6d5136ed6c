"""From token bytes to text that can be shown: whole characters, sorted, no stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workers.contract.sampling import Sampling
from workers.engines.content_tokens import ContentTokens
from workers.engines.reasoning import Plain, Splitter
from workers.engines.segments import Segment, possible_begin


@dataclass(frozen=True, slots=True)
class Shown:
    """Text that can be shown: of the content, and of what the model thinks."""

    text: str = ""
    reasoning: str = ""
    #: Places in the answer of tokens that are content, as it is known by now; only where asked for.
    content_tokens: tuple[int, ...] = ()

    def __add__(self, other: Shown) -> Shown:
        return Shown(
            self.text + other.text,
            self.reasoning + other.reasoning,
            self.content_tokens + other.content_tokens,
        )


class TextAssembler:
    """Joins the bytes of one answer's tokens.

    How the bytes are split over tokens does not change the text. Of several stop strings the one
    that is complete first ends the answer; where two end together, the longer. They are looked for
    in the content alone: a blank line or a number that ends an answer is common in a thought, which
    would leave the answer empty.
    """

    def __init__(
        self,
        stop: Sequence[str] = (),
        splitter: Splitter | None = None,
        *,
        min_tokens: int = 0,
        shows_stop: bool = False,
        tells_content: bool = False,
    ) -> None:
        """`splitter`: sorts thought from content; None: all is content.

        `min_tokens`: so many tokens pass before stop strings are looked for, as in vLLM.
        `shows_stop`: the stop string is shown. `tells_content`: which tokens are content.
        """
        self._stop = tuple(text for text in stop if text)
        self._splitter = splitter or Plain()
        self._min_tokens = min_tokens
        self._shows_stop = shows_stop
        self._content_tokens = ContentTokens() if tells_content else None
        self._pushed = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        #: A stop string was met; the text before it has been returned.
        self.stopped = False
        #: Tokens pushed whose text is thought, the tags around it included.
        self.reasoning_tokens = 0

    @classmethod
    def of(cls, sampling: Sampling, splitter: Splitter) -> TextAssembler:
        """The text of an answer to a request with this sampling."""
        return cls(
            sampling.stop,
            splitter,
            min_tokens=sampling.min_tokens,
            shows_stop=sampling.include_stop_str_in_output,
            tells_content=sampling.logprobs is not None,
        )

    @property
    def may_be_content(self) -> bool:
        """The last token is content, or may become it; False where that is not followed."""
        return self._content_tokens is not None and self._content_tokens.may_be_content

    @property
    def thinking(self) -> bool:
        """The model thinks."""
        return self._splitter.thinking

    @property
    def answering(self) -> bool:
        """Content has begun, or what comes next is content whatever it is."""
        return self._splitter.answering

    def push(self, piece: bytes, *, partial: bool = False) -> Shown:
        """Take a token's bytes; returns the text that can be shown by now, often none.

        `partial`: the token's bytes come with a later one's.
        """
        if self.stopped:
            return Shown()
        self._pushed += 1
        if self._content_tokens is not None:
            self._content_tokens.push(piece, partial=partial)
        was_thinking = self.thinking
        segments = self._splitter.push(self._decoder.decode(piece))
        if was_thinking or self.thinking or any(segment.is_thought for segment in segments):
            self.reasoning_tokens += 1
        return self._with_content_tokens(self._shown(segments))

    def finish(self, *, cut: bool = False) -> Shown:
        """What was held back, when the answer ends without a stop string; nothing after one.

        Bytes that complete no character become U+FFFD. Of an answer that was `cut`, at its last
        token, they are left out: the model would have completed the character.
        """
        if self.stopped:
            return Shown()
        rest = "" if cut else self._decoder.decode(b"", final=True)
        if self._content_tokens is not None and not cut:
            self._content_tokens.finish()
        segments = self._splitter.push(rest)
        shown = self._shown(segments + self._splitter.finish())
        held, self._held = self._held, ""
        return self._with_content_tokens(shown + Shown(held))

    def _with_content_tokens(self, shown: Shown) -> Shown:
        tokens = self._content_tokens
        if tokens is None:
            return shown
        if shown.reasoning:
            tokens.interrupt()
        places = tokens.show(shown.text, len(self._held))
        if shown.reasoning:
            tokens.interrupt()
        if self.thinking or self.stopped:
            tokens.drop()
        return replace(shown, content_tokens=places)

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
        if self._pushed <= self._min_tokens:
            return text
        matches = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if matches:
            self.stopped = True
            self._held = ""
            end, begin = min(matches)
            return text[: end if self._shows_stop else begin]
        begin = possible_begin(text, self._stop)
        self._held = text[begin:]
        return text[:begin]
