"""Long texts are counted piece by piece, which can be stopped, before they are tokenised whole."""

from __future__ import annotations

from collections.abc import Callable

from workers.engines.base import require_room
from workers.engines.time_budget import TimeBudget

#: Characters after which the clock is looked at: a fifth of a second at worst.
_CHUNK = 65_536
#: Tokens that a cut through a text may add.
_OF_A_CUT = 8


def is_long(text: str) -> bool:
    """Whether tokenising a text at once would hold a thread for too long."""
    return len(text) > 2 * _CHUNK


def require_fitting(
    model: str,
    text: str,
    context_length: int,
    count_tokens: Callable[[str], int],
    budget: TimeBudget,
    *,
    before: int,
    param: str = "messages",
) -> None:
    """Refuse a long text that does not fit, before it is tokenised whole.

    `before`: tokens that the prompt has already; below 0 where so many tokens of the text may be
    counted that it will not have. `param`: the parameter that holds it.

    Raises:
        ContextBudgetExceeded: no answer fits after it.
        TimeBudgetExceeded: it took too long.
        workers.engines.time_budget.Cancelled: nobody waits any longer.
    """
    count = before
    for begin in range(0, len(text), _CHUNK):
        budget.check()
        count += max(0, count_tokens(text[begin : begin + _CHUNK]) - _OF_A_CUT)
        if count >= context_length:
            require_room(model, count, context_length, at_least=True, param=param)
