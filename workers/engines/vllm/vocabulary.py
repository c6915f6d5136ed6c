"""Text to token ids and back, with the tokenizer that came with the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llguidance import LLTokenizer
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from workers.contract.errors import ModelLoadFailed

#: Tokens in front of an answer that decide how its first one is written: with a space or without.
_CONTEXT_TOKENS = 8


class Vocabulary:
    """A model's tokens. Safe from several threads."""

    def __init__(
        self,
        model: str,
        tokenizer: Any,
        generation_config: dict[str, Any],
        visible: Iterable[str] = (),
    ) -> None:
        """Take vLLM's tokenizer and the model's own settings for generation.

        `visible`: tags that are text in an answer, as others are not.

        Raises:
            ModelLoadFailed: the tokenizer is not one of the library `tokenizers`.
        """
        if not hasattr(getattr(tokenizer, "_tokenizer", None), "encode_batch"):
            raise ModelLoadFailed(
                f"{model} has no tokenizer.json; vLLM is run here with fast tokenizers only."
            )
        self.fast = tokenizer._tokenizer
        self.template = tokenizer.chat_template
        self.bos = tokenizer.bos_token or ""
        self.eos = tokenizer.eos_token or ""
        configured = generation_config.get("eos_token_id")
        ends = configured if isinstance(configured, list) else [configured]
        #: Tokens with which the model says that it has finished.
        self.ends = frozenset(
            token for token in (*ends, tokenizer.eos_token_id) if token is not None
        )
        special = self.fast.get_added_tokens_decoder()
        #: Special token -> what stands for it.
        self.special = {
            token: str(added.content) for token, added in special.items() if added.special
        }
        self.show(visible)

    def show(self, tags: Iterable[str]) -> None:
        """Let these be text in an answer even where they are special tokens. Before its use."""
        special = self.fast.get_added_tokens_decoder()
        #: Special token of a visible tag -> its text.
        self.visible = {
            token: str(special[token].content)
            for tag in tags
            for token in self.tokenize(tag)
            if token in special and special[token].special
        }
        #: Special tokens that have no text in an answer.
        self.silent = self.special.keys() - self.visible.keys()
        #: A token that no text becomes: what samples says with it that an answer has failed. Where
        #: there is none, an end says so, which the grammar may happen to allow.
        meaningful = self.ends.union(self.visible)
        self.failure = next(
            (token for token in sorted(special.keys() - meaningful) if special[token].special),
            min(self.ends, default=0),
        )

    def ends_turn(self, token: int) -> bool:
        """Whether the model says with this token that it has finished."""
        return token in self.ends

    def tree(self, size: int) -> LLTokenizer:
        """The tokens as llguidance keeps them, as many as the model's logits have (`size`)."""
        fast = Tokenizer.from_str(self.fast.to_str())
        fast.no_padding()
        fast.no_truncation()
        size = max(size, fast.get_vocab_size())
        return LLTokenizer(fast.to_str(), n_vocab=size, eos_token=sorted(self.ends) or None)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text, without special tokens added; special tokens are recognised."""
        return list(self.fast.encode(text, add_special_tokens=False).ids)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens; special tokens have none."""
        return str(self.fast.decode(list(tokens), skip_special_tokens=True))


class Detokenizer:
    """Turns the tokens of one answer into text, whole characters at a time."""

    def __init__(self, vocabulary: Vocabulary, prompt: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        #: Tokens whose text is known, as far as they matter for what comes; then those that wait.
        self._shown = list(prompt[-_CONTEXT_TOKENS:])
        self._waiting: list[int] = []
        self._stream = DecodeStream(ids=self._shown, skip_special_tokens=True)

    def push(self, token: int) -> str:
        """Take a token; returns the text that is complete with it, often ""."""
        if token in self._vocabulary.visible:
            text = self.finish() + self._vocabulary.visible[token]
            self._restart(token)
            return text
        self._waiting.append(token)
        try:
            text = self._stream.step(self._vocabulary.fast, token) or ""
        except Exception as error:
            # Bytes that can never become a character leave the stream stuck.
            if "Invalid prefix" not in str(error):
                raise
            text = self.finish()
            self._restart()
        if not text:
            return ""
        self._settle()
        return str(text)

    def finish(self, *, cut: bool = False) -> str:
        """The text of what still waits; bytes that complete no character become U+FFFD.

        Those at the end of an answer that was `cut` at its last token are left out.
        """
        before = self._vocabulary.text(self._shown)
        whole = self._vocabulary.text([*self._shown, *self._waiting])
        self._settle()
        text = whole.removeprefix(before)
        return text.rstrip("\ufffd") if cut else text

    def _restart(self, *tokens: int) -> None:
        self._shown = [*self._shown, *tokens][-_CONTEXT_TOKENS:]
        self._stream = DecodeStream(ids=self._shown, skip_special_tokens=True)

    def _settle(self) -> None:
        self._shown = [*self._shown, *self._waiting][-_CONTEXT_TOKENS:]
        self._waiting = []
