"""Presence and frequency penalties over tokens of an earlier attempt.

Runs in the process that samples. vLLM's own penalties count the tokens of this request alone; a
request that goes on after tokens already produced has those in its prompt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

#: What stands for a token that is sampled and not known yet.
_PENDING = -1


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a continued request's penalties need; travels in `extra_args`."""

    #: Its name there.
    ARGUMENT: ClassVar[str] = "earlier_attempt"

    token_ids: tuple[int, ...]
    presence_penalty: float
    frequency_penalty: float


class Penalties:
    """One request's penalties over all of its answer: earlier tokens and those of this attempt."""

    def __init__(self, earlier: Earlier) -> None:
        self._earlier = earlier
        self._counts = Counter(earlier.token_ids)
        self._counted = 0

    def __call__(self, output_ids: list[int], logits: torch.Tensor) -> torch.Tensor:
        """Lower the logits of tokens that the answer has already, in place."""
        for token in output_ids[self._counted :]:
            if token == _PENDING:
                break
            self._counts[token] += 1
            self._counted += 1
        ids = torch.tensor(list(self._counts), device=logits.device)
        counts = torch.tensor(list(self._counts.values()), device=logits.device, dtype=logits.dtype)
        logits[ids] -= self._earlier.presence_penalty + self._earlier.frequency_penalty * counts
        return logits


class EarlierTokens(AdapterLogitsProcessor):  # type: ignore[misc]
    """What vLLM loads into the process that samples; does nothing for most requests."""

    def is_argmax_invariant(self) -> bool:
        """False: penalties change which token is the most likely."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> Any:
        """The penalties of a continued request; None for others."""
        earlier = (params.extra_args or {}).get(Earlier.ARGUMENT)
        return Penalties(Earlier(**earlier)) if earlier else None
