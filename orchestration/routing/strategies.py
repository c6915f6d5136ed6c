"""How one of several fitting models is chosen. Each gives the model and the reason, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from presets.model import ModelSpec

#: A model, and why it.
Choice = tuple[ModelSpec, str]


def least_busy(models: Sequence[ModelSpec], queued_tokens: Sequence[int]) -> Choice:
    """The model with the fewest tokens queued and running; of equals, the first."""
    fewest = min(queued_tokens)
    reason = f"{fewest:,} of {sum(queued_tokens):,} tokens queued and running"
    return models[queued_tokens.index(fewest)], f"least busy of {len(models)} ({reason})"


def round_robin(models: Sequence[ModelSpec], turn: int) -> Choice:
    """The model whose turn it is; turns count from 0."""
    place = turn % len(models)
    return models[place], f"in turn, {place + 1} of {len(models)}"


def capability_match(
    models: Sequence[ModelSpec], contexts: Mapping[str, int], needed: int
) -> Choice:
    """The first model whose context has room for `needed` tokens; else the longest context.

    `contexts` are those that workers report; for the others the catalogue's count.
    """

    def context(spec: ModelSpec) -> int:
        return contexts.get(spec.id, spec.context_length)

    fitting = [spec for spec in models if context(spec) >= needed]
    if fitting:
        reason = f"has room for about {needed:,} tokens, first of {len(fitting)} that have"
        return fitting[0], reason
    longest = max(models, key=context)  # the first of equals
    reason = f"longest context of {len(models)} ({context(longest):,}), for about {needed:,} tokens"
    return longest, reason
