"""What a step is expected to take, before any engine has counted its tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from workers.contract.job import Job, Message
from workers.contract.prompt import Prompt
from workers.contract.sampling import Sampling
from workers.contract.tools import Tools

#: Bytes of UTF-8 that make a token, on the safe side: English prose has about 4.5, code about 3,
#: Chinese 3 to 4 with the vocabularies of the models in the catalogue.
BYTES_PER_TOKEN = 3
#: Tokens that a chat template puts around one message.
PER_MESSAGE = 8
#: Tokens of an answer that its caller does not bound.
ANSWER_TOKENS = 512
#: The longest context in the catalogue: who asks for more gets no more.
MOST_TOKENS = 131_072


def tokens(messages: Iterable[Message], sampling: Sampling, tools: Tools | None = None) -> int:
    """Prompt and answer together: the prompt by its length, the answer by `max_tokens`."""
    offered = () if tools is None else tools.offered
    prompt = sum(PER_MESSAGE + _bytes(turn) // BYTES_PER_TOKEN for turn in messages) + sum(
        PER_MESSAGE + _length(tool.to_dict()) // BYTES_PER_TOKEN for tool in offered
    )
    return _with_answer(prompt, sampling)


def tokens_of_prompt(prompt: Prompt, sampling: Sampling) -> int:
    """The same of a prompt that its caller wrote whole."""
    if prompt.token_ids is not None:
        return _with_answer(len(prompt.token_ids), sampling)
    return _with_answer(prompt.characters // BYTES_PER_TOKEN, sampling)


def tokens_of_job(job: Job) -> int:
    """What the longest of a job's own answers takes, or all its vectors or scores together."""
    if (asked := job.encoder_request) is not None:
        read = asked.token_ids + asked.characters // BYTES_PER_TOKEN
        return min(read, MOST_TOKENS)
    if job.prompts:
        return max(tokens_of_prompt(prompt, job.sampling) for prompt in job.prompts)
    return tokens(job.messages, job.sampling, job.tools)


def _with_answer(prompt: int, sampling: Sampling) -> int:
    limit = sampling.max_tokens
    return min(prompt + (ANSWER_TOKENS if limit is None else limit), MOST_TOKENS)


def _bytes(turn: Message) -> int:
    said = len((turn.content or "").encode(errors="replace"))
    return said + (_length(turn.tool_calls) if turn.tool_calls else 0)


def _length(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
