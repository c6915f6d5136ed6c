"""How the tokens of an answer are chosen, and where it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.constraint import Constraint
from workers.contract.fields import known_fields

#: Texts at which DRY's sequences begin anew: llama.cpp's own default.
DRY_SEQUENCE_BREAKERS = ("\n", ":", '"', "*")


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a request says of its tokens, under the names that requests have for it.

    The defaults are llama.cpp's own (`common_params_sampling`).
    """

    #: Tokens to produce at most; None: as many as the context has room for.
    max_tokens: int | None = None
    #: 0 takes the most likely token every time.
    temperature: float = 0.8
    top_p: float = 0.95
    #: 0 keeps every token.
    top_k: int = 40
    min_p: float = 0.05
    #: Texts that end the answer; they are not part of it.
    stop: tuple[str, ...] = ()
    #: None: a fresh seed for every request.
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    #: None: any text.
    constraint: Constraint | None = None

    # What only some engines do: `presets.backends` says which.

    #: The logits of tokens that occurred are divided by it, negative ones multiplied; 1: they stay.
    repetition_penalty: float = 1.0
    #: Tokens that penalties look back over; 0: none, -1: all, None: as the engine does.
    repeat_last_n: int | None = None
    #: Keep the tokens nearest to the expected surprise, of this total chance; 1 keeps all.
    typical_p: float = 1.0
    #: Keep tokens within so many standard deviations of the best logit; below 0 all.
    top_n_sigma: float = -1.0
    #: With this chance XTC leaves out the likeliest of the tokens above its threshold.
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    #: DRY lowers tokens that would prolong a repeated sequence; 0: it does not.
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    #: As `repeat_last_n`.
    dry_penalty_last_n: int = -1
    dry_sequence_breakers: tuple[str, ...] = DRY_SEQUENCE_BREAKERS
    #: Token id and what is added to its logit.
    logit_bias: tuple[tuple[int, float], ...] = ()
    #: Tokens before which the answer does not end by itself.
    min_tokens: int = 0
    #: The answer does not end because the model says so.
    ignore_eos: bool = False
    #: Token ids that end the answer; they are not part of it.
    stop_token_ids: tuple[int, ...] = ()
    #: What of these ended the answer is part of it.
    include_stop_str_in_output: bool = False
    #: Alternatives that are told for each token, with the chances; None: no chances.
    logprobs: int | None = None
    #: What the caller expects the answer to say. It changes no token, only when it comes.
    prediction: str = ""

    @property
    def extras(self) -> tuple[str, ...]:
        """What it asks of those that only some engines do."""
        return tuple(name for name in EXTRAS if getattr(self, name) != _DEFAULTS[name])

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; the constraint keeps its first name, `response_format`."""
        constraint = self.constraint
        data = dataclasses.asdict(dataclasses.replace(self, constraint=None))
        del data["constraint"]
        data["response_format"] = None if constraint is None else constraint.to_dict()
        return data

    def without_texts(self) -> Sampling:
        """The same without what its caller wrote."""
        return dataclasses.replace(
            self,
            stop=(),
            prediction="",
            constraint=None,
            dry_sequence_breakers=DRY_SEQUENCE_BREAKERS,
        )


_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Sampling)}
#: Names of what only some engines do. The rest of DRY and XTC means nothing where these are off.
EXTRAS = (
    "repetition_penalty",
    "repeat_last_n",
    "typical_p",
    "top_n_sigma",
    "xtc_probability",
    "dry_multiplier",
    "logit_bias",
    "min_tokens",
    "ignore_eos",
    "stop_token_ids",
    "include_stop_str_in_output",
    "logprobs",
    "prediction",
)
#: Those that name tokens of one model's answer, or tell of them.
OF_ONE_ANSWER = ("logit_bias", "stop_token_ids", "logprobs", "prediction")
_TUPLES = ("stop", "stop_token_ids", "dry_sequence_breakers")


def sampling_from(data: Mapping[str, Any]) -> Sampling:
    """Rebuild a sampling."""
    known = known_fields(Sampling, data)
    for name in _TUPLES:
        if name in known:
            known[name] = tuple(known[name])
    known["logit_bias"] = tuple((token, bias) for token, bias in known.get("logit_bias", ()))
    if written := data.get("response_format"):
        known["constraint"] = Constraint.from_dict(written)
    return Sampling(**known)
