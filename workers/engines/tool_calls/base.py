"""What a family of models is to its engine: how calls are written, read, and held to a grammar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from workers.contract.tools import CallPart, Tools

#: The id of a text that is one special token of the model's vocabulary; None: it is plain text.
TokenOf = Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A whole call."""

    name: str
    #: A JSON object.
    arguments: str


class CallParser(Protocol):
    """Sorts the content of one answer into text and calls.

    It sees text alone and only forward: the same text gives the same result however it is cut, and
    an attempt that goes on after a crash gets its state from pushing the produced text once more.
    No text is lost: what opened like a call and is none is text.
    """

    @property
    def opened(self) -> str:
        """The text that opened the calls, just as the model wrote it; empty while none has.

        It ends in the text that was pushed last when it came up. From there on the answer is held
        to `Family.grammar_after`. It is empty again where what followed is no call after all.
        """

    @property
    def calls(self) -> int:
        """Calls whose name was given out."""

    @property
    def notes(self) -> Sequence[str]:
        """Why something that opened like a call is none, or broke: whole sentences, a few."""

    def push(self, text: str) -> list[str | CallPart]:
        """Take text; gives what is sure by now, in its order: content, and pieces of calls."""

    def finish(self) -> list[str | CallPart]:
        """What was held back, when the answer ends."""


class Family(Protocol):
    """One form of calls, as some models were trained to write them. It has no state."""

    @property
    def name(self) -> str:
        """What the catalogue calls it."""

    @property
    def marks(self) -> tuple[str, ...]:
        """Texts that a parser must see even where they are special tokens, which else have none."""

    @property
    def grammar_covers_thought(self) -> bool:
        """The grammar is of the whole answer, thoughts included; else it is of the content."""

    def recognises(self, template: str) -> bool:
        """Whether a chat template asks for this form."""

    def parser(self, tools: Tools, id_prefix: str) -> CallParser:
        """A parser for one answer; the same prefix gives the same ids of calls again."""

    def grammar(self, tools: Tools, token_of: TokenOf) -> str:
        """The answer where a call must come, in llguidance's Lark."""

    def grammar_after(self, opened: str, tools: Tools, token_of: TokenOf) -> str:
        """How an answer goes on once `CallParser.opened` was said, in llguidance's Lark.

        It begins with the tokens that hold the text `opened`, the fewest at the answer's end by
        then: whatever stands before it in the first one, and after it in the last, is taken too.
        """

    def write(self, calls: Sequence[WrittenCall]) -> str:
        """Calls as the model writes them."""
