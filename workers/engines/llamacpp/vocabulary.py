"""Text to token ids and back."""

from __future__ import annotations

import ctypes

import llama_cpp

from workers.engines.llamacpp.native import Model

_FIRST_PIECE_BYTES = 64


class Vocabulary:
    """A model's tokens. Safe from several threads."""

    def __init__(self, model: Model, visible: tuple[str, ...] = ()) -> None:
        """`visible`: tags that are text in an answer; other special tokens have none."""
        self.pointer = llama_cpp.llama_model_get_vocab(model.pointer)
        self.size = int(llama_cpp.llama_vocab_n_tokens(self.pointer))
        self.bos = self._special(llama_cpp.llama_vocab_bos(self.pointer))
        self.eos = self._special(llama_cpp.llama_vocab_eos(self.pointer))
        self._pieces: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self._visible = {
            token
            for tag in visible
            for token in self.tokenize(tag, add_special=False, parse_special=True)
        }

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

    def prompt(self, text: str) -> list[int]:
        """Token ids of a rendered template, with one BOS: the template's own or else ours."""
        has_bos = bool(self.bos) and text.startswith(self.bos)
        return self.tokenize(text, add_special=not has_bos, parse_special=True)

    def piece(self, token: int) -> bytes:
        """The bytes of a token in an answer; special tokens have none, except the visible ones."""
        try:
            return self._pieces[token]
        except KeyError:
            piece = self._pieces[token] = self._read_piece(token, special=token in self._visible)
            return piece

    def ends_turn(self, token: int) -> bool:
        """Whether the model says with this token that it has finished."""
        try:
            return self._ends[token]
        except KeyError:
            ends = self._ends[token] = bool(llama_cpp.llama_vocab_is_eog(self.pointer, token))
            return ends

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
