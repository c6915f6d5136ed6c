"""Where in an answer its grammar begins: with the content, after what the model thinks."""

from __future__ import annotations

import copy
import enum
from typing import Protocol

from workers.engines.reasoning import Splitter
from workers.engines.text import TextAssembler


class Vocabulary(Protocol):
    """What the gate must know of a model's tokens."""

    def piece(self, token: int) -> bytes:
        """The bytes of a token in an answer; special tokens have none, except tags of thinking."""

    def ends_turn(self, token: int) -> bool:
        """Whether the model says with this token that it has finished."""


class TokenRole(enum.Enum):
    """What a token is to the grammar."""

    #: Nothing: it belongs to the thought, to a tag, or to white space before the content.
    THOUGHT = enum.auto()
    #: All of it must be allowed.
    CONTENT = enum.auto()
    #: It may not come now: content would begin inside it, or the turn end without any. The grammar
    #: takes whole tokens only.
    NEITHER = enum.auto()


class GrammarGate:
    """Follows one answer up to where its content begins."""

    def __init__(self, vocabulary: Vocabulary, splitter: Splitter) -> None:
        self._vocabulary = vocabulary
        self._text = TextAssembler((), splitter)
        self._passed = splitter.answering

    @property
    def passed(self) -> bool:
        """The content has begun."""
        return self._passed

    @property
    def thinking(self) -> bool:
        """A block of thinking is open."""
        return self._text.thinking

    def role(self, token: int) -> TokenRole:
        """What a token would be, if it came next."""
        return TokenRole.CONTENT if self._passed else self._push(copy.deepcopy(self._text), token)

    def take(self, token: int) -> TokenRole:
        """The token that comes next; what it is."""
        if self._passed:
            return TokenRole.CONTENT
        role = self._push(self._text, token)
        self._passed = self._text.answering
        return role

    def _push(self, text: TextAssembler, token: int) -> TokenRole:
        if self._vocabulary.ends_turn(token):
            return TokenRole.NEITHER
        piece = self._vocabulary.piece(token)
        shown = text.push(piece).text
        if not shown:
            return TokenRole.THOUGHT
        whole = shown.lstrip() == piece.decode("utf-8", "replace").lstrip()
        return TokenRole.CONTENT if whole else TokenRole.NEITHER
