"""A request's sampling as vLLM's parameters, one to one."""

from __future__ import annotations

import dataclasses
from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import RequestOutputKind, SamplingParams

from workers.contract.errors import InferenceError, UnsupportedParameter
from workers.contract.sampling import Sampling
from workers.engines import seeds
from workers.engines.vllm.held_rows import HeldTo
from workers.engines.vllm.penalties import Earlier


def parameters(
    sampling: Sampling, produced: tuple[int, ...], room: int, held_to: HeldTo | None = None
) -> SamplingParams:
    """What vLLM is to do after `produced` tokens, with `room` for so many more.

    Stop strings are not among it: they match over text that an earlier attempt gave too, which
    vLLM does not know. A continued generation with a seed goes on with another random stream
    than the first attempt: the seed plus the number of tokens produced.

    Raises:
        UnsupportedParameter: vLLM takes no such parameter or value.
    """
    penalties, extra = _penalties(sampling, produced)
    ends = {} if held_to is not None else _ends(sampling, len(produced), room)
    if held_to is not None:
        extra[HeldTo.ARGUMENT] = dataclasses.asdict(held_to)
    chosen: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "max_tokens": room,
        "seed": _seed(sampling.seed, len(produced)),
        "detokenize": False,
        "output_kind": RequestOutputKind.DELTA,
        "extra_args": extra or None,
        "repetition_penalty": sampling.repetition_penalty,
        "logit_bias": dict(sampling.logit_bias) or None,
        "stop_token_ids": list(sampling.stop_token_ids),
        "logprobs": sampling.logprobs,
        **penalties,
        **ends,
    }
    try:
        return SamplingParams(**chosen)
    except VLLMValidationError as error:
        raise refused(error) from error


def refused(error: VLLMValidationError) -> InferenceError:
    """The error of a caller whose parameters vLLM refuses for this model, in vLLM's words."""
    name = error.parameter
    return UnsupportedParameter(
        f"vLLM does not do that for this model: {error}", details={"param": name} if name else {}
    )


def _penalties(
    sampling: Sampling, produced: tuple[int, ...]
) -> tuple[dict[str, float], dict[str, Any]]:
    """VLLM's own penalties, and what our logits processor is to do instead."""
    penalties = {
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if not produced or not any(penalties.values()):
        return penalties, {}
    # To vLLM the produced tokens are part of the prompt, which its own penalties leave out.
    earlier = Earlier(produced, sampling.presence_penalty, sampling.frequency_penalty)
    return {}, {Earlier.ARGUMENT: dataclasses.asdict(earlier)}


def _ends(sampling: Sampling, produced: int, room: int) -> dict[str, Any]:
    """When the answer may end. One that is held to a constraint bans its ends with its mask: vLLM
    would ban what alone may follow.
    """
    least = max(0, sampling.min_tokens - produced)
    return {"min_tokens": min(least, room), "ignore_eos": sampling.ignore_eos}


def _seed(seed: int | None, produced: int) -> int | None:
    if seed is None:
        return None
    return seeds.after(seed, produced, seeds.VLLM_SEEDS)
