"""From token bytes to what can be shown: whole characters, sorted, no stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from workers.contract.logprobs import PackedLogprobs
from workers.contract.sampling import Sampling
from workers.contract.step import Timings, Usage
from workers.contract.tools import CallPart
from workers.engines.base import Delta
from workers.engines.content_tokens import ContentTokens
from workers.engines.reasoning import Plain, Splitter
from workers.engines.segments import Segment, possible_begin
from workers.engines.tool_calls.base import CallParser


@dataclass(frozen=True, slots=True)
class Shown:
    """What can be shown: of the content, of what the model thinks, of the calls that it makes."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[CallPart, ...] = ()
    #: Places in the answer of tokens that are content, as it is known by now; only where asked for.
    content_tokens: tuple[int, ...] = ()

    def __add__(self, other: Shown) -> Shown:
        return Shown(
            self.text + other.text,
            self.reasoning + other.reasoning,
            self.calls + other.calls,
            self.content_tokens + other.content_tokens,
        )

    def delta(self, token_ids: tuple[int, ...], logprobs: tuple[PackedLogprobs, ...] = ()) -> Delta:
        """It with the tokens that it came with, as a piece of an answer that goes on."""
        return Delta(
            self.text,
            token_ids,
            reasoning=self.reasoning,
            calls=self.calls,
            logprobs=logprobs,
            content_tokens=self.content_tokens,
        )


class TextAssembler:
    """Joins the bytes of one answer's tokens.

    How the bytes are split over tokens does not change what is shown. Of several stop strings the
    one that is complete first ends the answer; where two end together, the longer. They are looked
    for in the content alone: a blank line or a number that ends an answer is common in a thought,
    which would leave the answer empty, and in the arguments of a call, which would break it.
    """

    def __init__(
        self,
        stop: Sequence[str] = (),
        splitter: Splitter | None = None,
        parser: CallParser | None = None,
        *,
        min_tokens: int = 0,
        shows_stop: bool = False,
        tells_content: bool = False,
    ) -> None:
        """`splitter`: sorts thought from content; None: all is content. `parser`: finds the calls
        in the content; None: there are none.

        `min_tokens`: so many tokens pass before stop strings are looked for, as in vLLM.
        `shows_stop`: the stop string is shown. `tells_content`: which tokens are content.
        """
        self._stop = tuple(text for text in stop if text)
        self._splitter = splitter or Plain()
        self._parser = parser
        self._min_tokens = min_tokens
        self._shows_stop = shows_stop
        self._content_tokens = ContentTokens() if tells_content else None
        self._pushed = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        #: A stop string was met; what stands before it has been returned.
        self.stopped = False
        #: That stop string.
        self.stop: str | None = None
        #: Tokens pushed whose text is thought, the tags around it included.
        self.reasoning_tokens = 0

    @classmethod
    def of(
        cls, sampling: Sampling, splitter: Splitter, parser: CallParser | None = None
    ) -> TextAssembler:
        """The text of an answer to a request with this sampling."""
        return cls(
            sampling.stop,
            splitter,
            parser,
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

    @property
    def notes(self) -> tuple[str, ...]:
        """Why something that opened like a call is none, in sentences."""
        return () if self._parser is None else tuple(self._parser.notes)

    def finish_reason(self, reason: str) -> str:
        """The finish reason of an answer that ends for this reason.

        One that ended by itself after calls ended for them; one that was cut is cut.
        """
        called = self._parser is not None and self._parser.calls > 0
        return "tool_calls" if called and reason == "stop" else reason

    def last_delta(self, reason: str, delta: Delta, usage: Usage, timings: Timings) -> Delta:
        """The end of an answer that ends for this reason with this delta.

        `usage`: without the tokens of thoughts, which are counted here.
        """
        return replace(
            delta,
            finish_reason=self.finish_reason(reason),
            usage=replace(usage, reasoning_tokens=self.reasoning_tokens),
            timings=timings,
            notes=self.notes,
            stop=self.stop,
        )

    def push(self, piece: bytes, *, partial: bool = False) -> Shown:
        """Take a token's bytes; returns what can be shown by now, often nothing.

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
        if self._parser is not None and not self.stopped:
            shown += self._sorted(self._parser.finish())
        return self._with_content_tokens(shown + Shown(self._release()))

    def _with_content_tokens(self, shown: Shown) -> Shown:
        tokens = self._content_tokens
        if tokens is None:
            return shown
        if shown.reasoning or shown.calls:
            tokens.interrupt()
        places = tokens.show(shown.text, len(self._held))
        if shown.reasoning or shown.calls:
            tokens.interrupt()
        if self.thinking or self.stopped:
            tokens.drop()
        return replace(shown, content_tokens=places)

    def _shown(self, segments: Iterable[Segment]) -> Shown:
        shown = Shown()
        for segment in segments:
            if segment.is_thought:
                shown += Shown(reasoning=segment.text)
            elif self._parser is None:
                shown += Shown(self._content(segment.text))
            else:
                shown += self._sorted(self._parser.push(segment.text))
            if self.stopped:
                break
        return shown

    def _sorted(self, pieces: Iterable[str | CallPart]) -> Shown:
        shown = Shown()
        for piece in pieces:
            if isinstance(piece, CallPart):
                # No stop string reaches over a call.
                shown += Shown(self._release(), calls=(piece,))
            else:
                shown += Shown(self._content(piece))
            if self.stopped:
                break
        return shown

    def _content(self, text: str) -> str:
        text = self._held + text
        if self._pushed <= self._min_tokens:
            return text
        matches = [
            (at + len(stop), at, stop) for stop in self._stop if (at := text.find(stop)) >= 0
        ]
        if matches:
            self.stopped = True
            self._held = ""
            end, begin, self.stop = min(matches)
            return text[: end if self._shows_stop else begin]
        begin = possible_begin(text, self._stop)
        self._held = text[begin:]
        return text[:begin]

    def _release(self) -> str:
        held, self._held = self._held, ""
        return held
