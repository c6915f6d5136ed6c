"""Text to token ids and back."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterable, Iterator

import llama_cpp
from llguidance import LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab

from workers.engines.infill import InfillMarks
from workers.engines.llamacpp.native import Model

_FIRST_PIECE_BYTES = 64


class Vocabulary:
    """A model's tokens. Safe from several threads."""

    def __init__(self, model: Model) -> None:
        """Take the tokens of a loaded model. Special ones have no text until `show` says so."""
        self.pointer = llama_cpp.llama_model_get_vocab(model.pointer)
        self.size = int(llama_cpp.llama_vocab_n_tokens(self.pointer))
        self.bos = self._special(llama_cpp.llama_vocab_bos(self.pointer))
        self.eos = self._special(llama_cpp.llama_vocab_eos(self.pointer))
        #: Tokens that no plain text becomes, however their texts are merged.
        self.never_in_text: set[int] = set()
        self._pieces: dict[int, bytes] = {}
        self._spellings: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self._visible: frozenset[int] = frozenset()

    def show(self, tags: Iterable[str]) -> None:
        """Let these be text in an answer even where they are special tokens. Before its use."""
        self._visible = frozenset(
            token
            for tag in tags
            for token in self.tokenize(tag, add_special=False, parse_special=True)
        )

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of a text.

        `add_special` puts the model's BOS before it, if it has one; `parse_special` reads special
        tokens such as `<|im_end|>` as one token.
        """
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 8
        while True:
            ids = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self.pointer, raw, len(raw), ids, room, add_special, parse_special
            )
            if count >= 0:
                return list(ids[:count])
            room = -count

    def ids(self, text: str, *, around: bool) -> list[int]:
        """See `EncoderVocabulary.ids`; what spells a special token is text."""
        return self.tokenize(text, add_special=around, parse_special=False)

    def plain(self, text: str) -> list[int]:
        """Token ids of a text in which nothing is a special token, whatever it says."""
        ids = self.tokenize(text, add_special=False, parse_special=False)
        if self.never_in_text.isdisjoint(ids):
            return ids
        # Merges of some vocabularies lead to a special token's text: it is spelled instead.
        return [
            spelled
            for token in ids
            for spelled in (self._spelled(token) if token in self.never_in_text else (token,))
        ]

    def parsed(self, text: str) -> list[int]:
        """Token ids of a text in which special tokens are read as such."""
        return self.tokenize(text, add_special=False, parse_special=True)

    def whole_text(self, token_ids: Iterable[int]) -> str:
        """The text of tokens, special ones' too."""
        raw = b"".join(self.spelling(token) for token in token_ids)
        return raw.decode("utf-8", "replace")

    @functools.cached_property
    def longest_piece(self) -> int:
        """Bytes of the longest token."""
        return max(len(text) for _, text, _ in self.tokens())

    @functools.cached_property
    def infill_marks(self) -> InfillMarks | None:
        """The tokens that the model knows a gap by, as its file names them or llama.cpp knows them
        by their texts; None: it has none.
        """
        pre, suf, mid, rep, sep = (
            None if token < 0 else int(token)
            for token in (
                llama_cpp.llama_vocab_fim_pre(self.pointer),
                llama_cpp.llama_vocab_fim_suf(self.pointer),
                llama_cpp.llama_vocab_fim_mid(self.pointer),
                llama_cpp.llama_vocab_fim_rep(self.pointer),
                llama_cpp.llama_vocab_fim_sep(self.pointer),
            )
        )
        if pre is None or suf is None or mid is None:
            return None
        return InfillMarks(pre, suf, mid, rep, sep)

    def beginning(self) -> list[int]:
        """The BOS that a prompt begins with, if the model has one."""
        has_bos = llama_cpp.llama_vocab_get_add_bos(self.pointer)
        bos = int(llama_cpp.llama_vocab_bos(self.pointer))
        return [bos] if has_bos and bos >= 0 else []

    def tokens(self) -> Iterator[tuple[int, bytes, int]]:
        """Every token: its id, its text as the vocabulary has it, its attributes."""
        for token in range(self.size):
            text = llama_cpp.llama_vocab_get_text(self.pointer, token) or b""
            yield token, text, int(llama_cpp.llama_vocab_get_attr(self.pointer, token))

    def piece(self, token: int) -> bytes:
        """The bytes of a token in an answer; special tokens have none, except the visible ones."""
        try:
            return self._pieces[token]
        except KeyError:
            piece = self._pieces[token] = self._read_piece(token, special=token in self._visible)
            return piece

    def spelling(self, token: int) -> bytes:
        """The bytes that stand for a token, special ones too."""
        try:
            return self._spellings[token]
        except KeyError:
            spelling = self._spellings[token] = self._read_piece(token, special=True)
            return spelling

    def ends_turn(self, token: int) -> bool:
        """Whether the model says with this token that it has finished."""
        try:
            return self._ends[token]
        except KeyError:
            ends = self._ends[token] = bool(llama_cpp.llama_vocab_is_eog(self.pointer, token))
            return ends

    @functools.cached_property
    def ends(self) -> frozenset[int]:
        """All tokens with which the model says that it has finished."""
        return frozenset(token for token in range(self.size) if self.ends_turn(token))

    def tree(self) -> LLTokenizer:
        """The tokens as llguidance keeps them."""
        return lltokenizer_from_vocab(self.pointer, eos_token=sorted(self.ends) or None)

    def _spelled(self, token: int) -> list[int]:
        """A special token's text, character by character."""
        text = llama_cpp.llama_vocab_get_text(self.pointer, token).decode("utf-8", "replace")
        letters = self._letters()
        ids: list[int] = []
        for letter in text:
            raw = letter.encode()
            whole = letters.get(raw)
            ids += (
                [whole]
                if whole is not None
                else [letters[part] for byte in raw if (part := bytes((byte,))) in letters]
            )
        return ids

    @functools.cache  # noqa: B019 - a vocabulary lives as long as its model
    def _letters(self) -> dict[bytes, int]:
        """Tokens of one byte or one character."""
        wanted = llama_cpp.LLAMA_TOKEN_ATTR_NORMAL | llama_cpp.LLAMA_TOKEN_ATTR_BYTE
        letters: dict[bytes, int] = {}
        for token, _, attributes in self.tokens():
            piece = self._read_piece(token, special=False) if attributes & wanted else b""
            if len(piece) == 1 or (piece and len(piece.decode("utf-8", "replace")) == 1):
                letters.setdefault(piece, token)
        return letters

    def _special(self, token: int) -> str:
        return (
            self._read_piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""
        )

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        room = _FIRST_PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = llama_cpp.llama_token_to_piece(self.pointer, token, buffer, room, 0, special)
            if length >= 0:
                return bytes(buffer.raw[:length])
            room = -length
