"""What greedy tokens are held against: transformers' own decode of the same ids."""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.support.near_tie import NEAR_TIE


class Reference:
    """The same weights, decoded in one go by other code than vLLM's."""

    def __init__(self, directory):
        self._model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        self._tokenizer = AutoTokenizer.from_pretrained(directory)

    def prompt(self, messages):
        """The ids that these messages become."""
        turns = [message.to_dict() for message in messages]
        text = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=False
        )
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def text(self, tokens):
        """The text that tokens stand for."""
        return self._tokenizer.decode(tokens, skip_special_tokens=True)

    def logprobs(self, messages, tokens):
        """The log probabilities of all tokens, a row for each of these: the one that chose it."""
        return torch.log_softmax(self._logits(messages, tokens).double(), dim=-1).numpy()

    def _logits(self, messages, tokens):
        prompt = self.prompt(messages)
        with torch.inference_mode():
            logits = self._model(torch.tensor([[*prompt, *tokens]])).logits[0]
        return logits[len(prompt) - 1 : len(prompt) + len(tokens) - 1]

    def assert_greedy(self, messages, tokens, near_tie=NEAR_TIE):
        """Every token is the most likely one after those before it, or as good as that."""
        rows = self._logits(messages, tokens)
        for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            gap = float(row.max() - row[token])
            assert gap <= near_tie, f"token {place} is {gap:.2f} below the most likely one"
