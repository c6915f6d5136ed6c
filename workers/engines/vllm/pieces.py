"""The bytes of a model's tokens, and what of them may come before an answer's content."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from llguidance import LLTokenizer
from numpy.typing import NDArray

from workers.engines.grammar_gate import GrammarGate, TokenRole
from workers.engines.vllm.vocabulary import Vocabulary

Words = NDArray[np.int32]


class Pieces:
    """Each token's bytes, for a `GrammarGate`. Safe from several threads."""

    def __init__(self, vocabulary: Vocabulary, tree: LLTokenizer) -> None:
        self._vocabulary = vocabulary
        self._tree = tree
        self.size = int(tree.vocab_size)
        self.failure = vocabulary.failure
        self._spellings: dict[int, bytes] = {}

    def ends_turn(self, token: int) -> bool:
        """Whether the model says with this token that it has finished."""
        return self._vocabulary.ends_turn(token)

    def piece(self, token: int) -> bytes:
        """The bytes of a token; special ones have none, except the visible ones."""
        if token in self._vocabulary.visible:
            return self._vocabulary.visible[token].encode()
        return (
            b"" if self._tree.is_special_token(token) else bytes(self._tree.decode_bytes([token]))
        )

    def spelling(self, token: int) -> bytes:
        """The bytes that stand for a token, special ones too."""
        try:
            return self._spellings[token]
        except KeyError:
            special = self._vocabulary.special.get(token)
            raw = self._tree.decode_bytes([token]) if special is None else special.encode()
            spelling = self._spellings[token] = bytes(raw)
            return spelling


class BeforeContent:
    """Which tokens may come before the content of an answer that is held to a constraint.

    A thought may not end the turn, nor end inside a token that begins the content too. So a few
    tokens are never in it: those that go on after the end of a tag. Their texts come in others.
    """

    def __init__(self, pieces: Pieces, tags: Iterable[str]) -> None:
        """`tags`: of the model's thinking."""
        tags = tuple(tags)
        raw = tuple(tag.encode() for tag in tags)
        all_pieces = [pieces.piece(token) for token in range(pieces.size)]
        tokens = range(pieces.size)
        ends = {token for token in tokens if pieces.ends_turn(token)} | {pieces.failure}
        self._free = words(
            (t for t in tokens if t not in ends and not _goes_on(all_pieces[t], raw)), pieces.size
        )
        #: Whole characters that end no turn: a token of half of one is no content yet, to the gate.
        self._whole = words(
            (t for t in tokens if t not in ends and _is_text(all_pieces[t])), pieces.size
        )
        self._spaces = [t for t in tokens if all_pieces[t] and not all_pieces[t].strip()]
        self._of_tags = [t for t in tokens if _is_of_tag(all_pieces[t].strip(), raw)]
        #: Plain text, by which it shows whether any may come.
        self._plain = next(t for t in tokens if all_pieces[t].isdigit())
        self._size = pieces.size

    def allowed(self, gate: GrammarGate, content: Words, likeliest: Callable[[], int]) -> Words:
        """What may come next; `content`: what the content may begin with.

        `likeliest`: the token that the model would choose. Where that is content, content begins:
        else the few tokens of tags and white space would stand in for all that is not allowed.
        """
        plain = gate.role(self._plain)
        if plain is TokenRole.THOUGHT:
            return self._free
        if plain is TokenRole.CONTENT and gate.role(likeliest()) is not TokenRole.THOUGHT:
            return content & self._whole
        thoughts = [t for t in self._of_tags if gate.role(t) is TokenRole.THOUGHT]
        if self._spaces and gate.role(self._spaces[0]) is TokenRole.THOUGHT:
            thoughts += self._spaces
        before = words(thoughts, self._size)
        return before | (content & self._whole) if plain is TokenRole.CONTENT else before


def words(tokens: Iterable[int], size: int) -> Words:
    """A bit for each of `size` tokens, the lowest first; set for these."""
    bits = np.zeros(-(-size // 32) * 32, dtype=np.uint8)
    bits[list(tokens)] = 1
    return np.packbits(bits, bitorder="little").view(np.int32)


def _is_text(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return bool(piece)


def _is_of_tag(text: bytes, tags: tuple[bytes, ...]) -> bool:
    return bool(text) and any(text in tag or tag in text for tag in tags)


def _goes_on(piece: bytes, tags: tuple[bytes, ...]) -> bool:
    """Whether text could follow inside this token after the end of a tag."""
    for tag in tags:
        if piece.partition(tag)[2].strip():
            return True
        for begin in range(1, len(tag)):
            if piece.startswith(tag[begin:]) and piece[len(tag) - begin :].strip():
                return True
    return False
