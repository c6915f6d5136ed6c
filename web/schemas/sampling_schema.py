"""The fields of a body that say how tokens are chosen and where an answer ends."""

from __future__ import annotations

from web.schemas.fields import Decimal, Flag, Items, Stop, Text, Whole
from web.schemas.lenient import LenientSchema
from web.schemas.token_fields import LogitBias, TokenId

#: More tokens than any context has.
_MOST_TOKENS = 10_000_000
_SEED = 2**63
#: llama.cpp looks for each in the whole vocabulary before the first token: a hostile one takes
#: 0.1 s of CPU with 49,152 tokens. It reads so many bytes of one.
_MOST_BREAKERS, _LONGEST_BREAKER = 8, 40
_MOST_STOP_IDS = 128


class SamplingSchema(LenientSchema):
    """What `sampling.read` reads."""

    max_tokens = Whole(1, _MOST_TOKENS, description="The most tokens of the answer.")
    max_completion_tokens = Whole(
        1, _MOST_TOKENS, description="The newer name of `max_tokens`; the smaller one counts."
    )
    temperature = Decimal(0, 2, description="0 takes the most likely token every time.")
    top_p = Decimal(0, 1, description="Sample from the most likely tokens of this total chance.")
    top_k = Whole(-1, _MOST_TOKENS, description="Sample from this many tokens; 0 and -1: all.")
    min_p = Decimal(0, 1, description="Leave out tokens less likely than this part of the best.")
    stop = Stop(description="Strings that end the answer; they are no part of it.")
    seed = Whole(
        -_SEED,
        _SEED - 1,
        description="The same seed draws the same tokens, -1 too; leave it out for a fresh one.",
    )
    presence_penalty = Decimal(-2, 2, description="Above 0: tokens that occurred become rarer.")
    frequency_penalty = Decimal(-2, 2, description="The same, for each time a token occurred.")
    repetition_penalty = Decimal(
        0.01, 10, description="Above 1: tokens of the prompt and the answer become rarer."
    )
    repeat_penalty = Decimal(0.01, 10, description="llama.cpp's name of `repetition_penalty`.")
    repeat_last_n = Whole(
        -1, _MOST_TOKENS, description="Penalties look back so many tokens; 0: none, -1: all."
    )
    typical_p = Decimal(0, 1, description="Sample from the most typical tokens of this chance.")
    top_n_sigma = Decimal(
        -1,
        100,
        description="Leave out tokens whose logit is so many standard deviations below the best; "
        "0 and less: none.",
    )
    xtc_probability = Decimal(
        0, 1, description="How often the likeliest tokens above `xtc_threshold` are left out."
    )
    xtc_threshold = Decimal(0, 1, description="The chance above which XTC counts a token.")
    dry_multiplier = Decimal(
        0, 100, description="DRY: how much tokens that prolong a repetition are lowered; 0: not."
    )
    dry_base = Decimal(1, 100, description="DRY: the growth with each token of the repetition.")
    dry_allowed_length = Whole(1, 1000, description="DRY: repetitions of this length are free.")
    dry_penalty_last_n = Whole(
        -1, _MOST_TOKENS, description="DRY looks back so many tokens; 0: none, -1: all."
    )
    dry_sequence_breakers = Items(
        Text(required=True, least=1, most=_LONGEST_BREAKER),
        allow_none=True,
        most=_MOST_BREAKERS,
        metadata={"description": "DRY: repetitions do not reach over these texts."},
    )
    logit_bias = LogitBias(
        description="Token ids, and what is added to their logits; -100 as good as bans one."
    )
    min_tokens = Whole(
        0, _MOST_TOKENS, description="Before so many tokens the answer does not end by itself."
    )
    ignore_eos = Flag(description="The answer goes on when the model would end it.")
    stop_token_ids = Items(
        TokenId(required=True),
        allow_none=True,
        most=_MOST_STOP_IDS,
        metadata={"description": "Token ids that end the answer."},
    )
    include_stop_str_in_output = Flag(
        description="What of `stop` or `stop_token_ids` ended the answer is part of it."
    )
