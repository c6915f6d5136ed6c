"""Token ids that a request names, held against the model's vocabulary."""

from __future__ import annotations

from workers.contract.errors import ValidationFailed
from workers.contract.sampling import Sampling


def require_known(sampling: Sampling, size: int) -> None:
    """Refuse ids that the vocabulary of `size` tokens does not have.

    Raises:
        ValidationFailed: names the field and the id.
    """
    named = {
        "logit_bias": (token for token, _ in sampling.logit_bias),
        "stop_token_ids": sampling.stop_token_ids,
    }
    for param, tokens in named.items():
        unknown = next((token for token in tokens if not 0 <= token < size), None)
        if unknown is not None:
            raise ValidationFailed(
                f"{param} names the token {unknown}; this model's are 0 to {size - 1}.",
                details={"param": param, "token": unknown, "vocabulary": size},
            )
