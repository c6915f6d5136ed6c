"""How an answer's tokens are chosen, from the fields of a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.schemas import prediction
from web.schemas.refusals import invalid
from workers.contract.constraint import Constraint
from workers.contract.fields import known_fields, without_none
from workers.contract.sampling import Sampling


def read(data: Mapping[str, Any], constraint: Constraint | None) -> Sampling:
    """The sampling of a loaded body.

    Raises:
        ValidationFailed: two fields contradict each other, or the prediction is none that can be
            taken; names them.
        UnsupportedParameter: the prediction is no text.
    """
    given = without_none(data)
    known = {**known_fields(Sampling, given), **_penalty(given), **_logprobs(given)}
    limits = [given[name] for name in ("max_tokens", "max_completion_tokens") if name in given]
    most = min(limits, default=None)
    if most is not None and known.get("min_tokens", 0) > most:
        raise invalid("min_tokens", f"must not be above max_tokens, which is {most}")
    if known.get("top_k") == -1:  # vLLM's spelling of "all"
        known["top_k"] = 0
    if known.get("top_n_sigma", -1) <= 0:  # llama.cpp's spelling of "off" is any of these
        known.pop("top_n_sigma", None)
    for name in ("stop_token_ids", "dry_sequence_breakers"):
        if name in known:
            known[name] = tuple(known[name])
    known["prediction"] = prediction.read(data)
    return Sampling(**{**known, "max_tokens": most, "constraint": constraint})


def _penalty(given: Mapping[str, Any]) -> dict[str, float]:
    """The repetition penalty, by either of its names."""
    names = [name for name in ("repetition_penalty", "repeat_penalty") if name in given]
    values = {given[name] for name in names}
    if len(values) > 1:
        raise invalid(names[1], f"is another name of {names[0]}; both are given, and differ")
    return {"repetition_penalty": values.pop()} if values else {}


def _logprobs(given: Mapping[str, Any]) -> dict[str, int | None]:
    """How many alternatives are told with each token; None: no chances at all.

    Text completions say the number itself.
    """
    asked, alternatives = given.get("logprobs"), given.get("top_logprobs", 0)
    if isinstance(asked, int) and not isinstance(asked, bool):
        return {"logprobs": asked}
    if alternatives and not asked:
        raise invalid("top_logprobs", "goes only with logprobs: true")
    return {"logprobs": alternatives if asked else None}
