"""What greedy tokens are held against: llama-cpp-python's own decode of the same ids."""

import llama_cpp
import numpy as np
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from tests.support.near_tie import NEAR_TIE


class Reference:
    """The same file, decoded in one go by other code than ours."""

    def __init__(self, path):
        self._llama = llama_cpp.Llama(
            str(path), n_ctx=768, n_batch=768, logits_all=True, verbose=False
        )
        special = self._llama._model.token_get_text
        self._formatter = Jinja2ChatFormatter(
            template=self._llama.metadata["tokenizer.chat_template"],
            eos_token=special(self._llama.token_eos()),
            bos_token=special(self._llama.token_bos()),
        )

    def prompt(self, messages):
        """The ids that these messages become."""
        rendered = self._formatter(messages=[message.to_dict() for message in messages])
        return self._llama.tokenize(
            rendered.prompt.encode(), add_bos=not rendered.added_special, special=True
        )

    def bytes_of(self, token):
        """The bytes that a token stands for."""
        return self._llama.detokenize([token])

    def text(self, tokens):
        """The text that tokens stand for."""
        return b"".join(map(self.bytes_of, tokens)).decode(errors="replace")

    def logprobs(self, messages, tokens):
        """The log probabilities of all tokens, a row for each of these: the one that chose it."""
        begin = self._decode(messages, tokens)
        rows = self._llama.scores[begin : begin + len(tokens)].astype(np.float64)
        rows -= rows.max(axis=1, keepdims=True)
        return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))

    def assert_greedy(self, messages, tokens, *, of_other_shape=False):
        """Every token is the most likely one after those before it, or as good as that.

        `of_other_shape`: they were decoded in batches of a shape that this reference has not. What
        it differs from itself by, over the same ids, is then no mistake of theirs.
        """
        if not tokens:
            return
        begin = self._decode(messages, tokens)
        rows = self._llama.scores[begin : begin + len(tokens)]
        gaps = rows.max(axis=1) - rows[np.arange(len(tokens)), tokens]
        place = int(gaps.argmax())
        gap = float(gaps[place])
        if gap > NEAR_TIE and of_other_shape:  # decoding one by one takes long
            near_tie = max(NEAR_TIE, self._noise(messages, tokens))
        else:
            near_tie = NEAR_TIE
        assert gap <= near_tie, f"token {place} is {gap:.2f} below the most likely one"

    def _decode(self, messages, tokens):
        """Decode a conversation with this answer; the row that chose the first of its tokens."""
        prompt = self.prompt(messages)
        ids = [*prompt, *tokens]
        # Beginnings that the last conversation had too are not decoded again.
        before = self._llama.input_ids[: self._llama.n_tokens]
        known = next(
            (i for i, (old, new) in enumerate(zip(before, ids, strict=False)) if old != new),
            min(len(before), len(ids)),
        )
        self._llama.n_tokens = known
        self._llama.eval(ids[known:])
        return len(prompt) - 1

    def _noise(self, messages, tokens):
        """How far the best logits of two decodes of the same ids are apart: all ids at once, and
        one by one. No decode is more right than the other."""
        prompt = self.prompt(messages)
        places = slice(len(prompt) - 1, len(prompt) + len(tokens) - 1)
        self._llama.n_tokens = 0
        self._llama.eval([*prompt, *tokens])
        at_once = self._llama.scores[places].copy()
        self._llama.n_tokens = 0
        self._llama.eval(prompt)
        for token in tokens:
            self._llama.eval([token])
        one_by_one = self._llama.scores[places]
        best = at_once >= np.sort(at_once, axis=1)[:, -5, None]
        apart = at_once - at_once.max(1, keepdims=True)
        apart -= one_by_one - one_by_one.max(1, keepdims=True)
        return float(np.abs(apart[best]).max())

    def close(self):
        """Give the memory back."""
        self._llama.close()
