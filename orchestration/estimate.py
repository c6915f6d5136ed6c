"""What a step is expected to take, before any engine has counted its tokens."""

from __future__ import annotations

from collections.abc import Iterable

from workers.contract.job import Message, Sampling

#: Bytes of UTF-8 that make a token, on the safe side: English prose has about 4.5, code about 3,
#: Chinese 3 to 4 with the vocabularies of the models in the catalogue.
BYTES_PER_TOKEN = 3
#: Tokens that a chat template puts around one message.
PER_MESSAGE = 8
#: Tokens of an answer that its caller does not bound.
ANSWER_TOKENS = 512
#: The longest context in the catalogue: who asks for more gets no more.
MOST_TOKENS = 131_072


def tokens(messages: Iterable[Message], sampling: Sampling) -> int:
    """Prompt and answer together: the prompt by its length, the answer by `max_tokens`."""
    prompt = sum(
        PER_MESSAGE + len((turn.content or "").encode(errors="replace")) // BYTES_PER_TOKEN
        for turn in messages
    )
    limit = sampling.max_tokens
    return min(prompt + (ANSWER_TOKENS if limit is None else limit), MOST_TOKENS)
