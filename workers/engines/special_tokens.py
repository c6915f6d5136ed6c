"""Special tokens in a prompt: only those that the template put there.

Special is a token that structures prompts, such as `<|im_end|>`; also a token that was added to the
vocabulary as a word, where the template writes it: turns of some models begin with such. A prompt
is cut at the special tokens whose every character the template wrote. Everything else is plain
text, a caller's `<|im_end|>` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from workers.engines.chat_template.traced_text import TracedText, own_of

_OWN_RUN = re.compile(rb"\x01+")
#: Stretches of the template's own text whose cut is remembered: a template has few.
_MOST_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token that is read whole, by its text."""

    text: str
    id: int
    #: White space before and after it belongs to it.
    strips_left: bool = False
    strips_right: bool = False


class SpecialTokens:
    """The special tokens of one model with its template. Safe from several threads."""

    def __init__(self, tokens: Iterable[SpecialToken]) -> None:
        self._by_text = {token.text: token for token in tokens if token.text}
        # Of two that begin at one place the longer is meant.
        texts = sorted(self._by_text, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, texts)) or r"(?!)")
        self._cuts: dict[str, tuple[tuple[int, int], ...]] = {}

    def cut(self, prompt: TracedText) -> Iterator[SpecialToken | str]:
        """The prompt's special tokens and the plain text between them, in order."""
        text, end = str.__str__(prompt), 0
        for run in _OWN_RUN.finditer(own_of(prompt)):
            for begin, stop in self._cut(text[run.start() : run.end()]):
                if plain := text[end : run.start() + begin]:
                    yield plain
                end = run.start() + stop
                yield self._by_text[text[run.start() + begin : end]]
        if plain := text[end:]:
            yield plain

    def _cut(self, own_text: str) -> tuple[tuple[int, int], ...]:
        """Where special tokens begin and end in text of the template."""
        try:
            return self._cuts[own_text]
        except KeyError:
            cuts = tuple(match.span() for match in self._pattern.finditer(own_text))
            if len(self._cuts) < _MOST_REMEMBERED:
                self._cuts[own_text] = cuts
            return cuts


def stripped(parts: Iterable[SpecialToken | str]) -> Iterator[SpecialToken | str]:
    """The parts, without the white space that belongs to special tokens; none is empty."""
    before: SpecialToken | None = None
    waiting = ""
    for part in parts:
        if isinstance(part, str):
            waiting = part.lstrip() if before is not None and before.strips_right else part
            continue
        if part.strips_left:
            waiting = waiting.rstrip()
        if waiting:
            yield waiting
        yield part
        before, waiting = part, ""
    if waiting:
        yield waiting


def written_by(own_texts: Iterable[str], text: str) -> bool:
    """Whether a template writes this text by itself."""
    return any(text in own_text for own_text in own_texts)


def split_within(text: str, texts: re.Pattern[str]) -> Iterator[str]:
    """Plain text, cut within each of these texts, so that none is read whole out of it."""
    begin, place = 0, 0
    while match := texts.search(text, place):
        place = match.start() + 1
        yield text[begin:place]
        begin = place
    yield text[begin:]
