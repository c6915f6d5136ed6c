"""How a model's context is divided among what it reads and what it writes.

The parts are shares, not limits for one model alone: a single request is refused only where it does
not fit the whole context. What several models hand to each other may borrow what other parts leave,
and is shortened where it would take from `generation`, which is what an answer may take where its
caller does not say.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

#: The parts of a total, in the order in which a prompt has them; the answer comes last.
PARTS = ("system", "trajectory", "handoff", "user_query", "generation")

#: The two divisions that were given: of 8,192 tokens (llama-3.2-3b) and of 131,072
#: (granite-8b-code-128k). The generation part is what is left.
_SHORT, _LONG = 8_192, 131_072
_GIVEN = {
    "system": (500, 1_000),
    "trajectory": (300, 500),
    "handoff": (1_500, 4_000),
    "user_query": (2_000, 32_000),
}
#: Lengths between the two are rounded to this.
_STEP = 50
#: The least with which each part is of use, of a context that has been cut down: together 1,024
#: tokens, half of the smallest KV pool that the memory plan gives. A system message and a question
#: of some paragraphs, one line for each step, a handoff of some sentences.
LEAST = {"system": 100, "trajectory": 50, "handoff": 200, "user_query": 250, "generation": 424}
_LEAST_TOTAL = sum(LEAST.values())


@dataclass(frozen=True, slots=True)
class Budgets:
    """Tokens of one model's context. The parts add up to the total."""

    total: int
    #: What the operator and the caller tell every step.
    system: int
    #: Where in the plan a step stands.
    trajectory: int
    #: What the steps before it hand on.
    handoff: int
    #: What the caller asks.
    user_query: int
    #: The answer.
    generation: int

    def __post_init__(self) -> None:
        """Hold the parts against the total.

        Raises:
            ValueError: they do not add up, or a part has no token.
        """
        parts = {name: getattr(self, name) for name in PARTS}
        together = sum(parts.values())
        if min(parts.values()) < 1:
            raise ValueError("must leave every part at least 1 token")
        if together != self.total:
            added = " + ".join(f"{name} {size}" for name, size in parts.items())
            raise ValueError(f"is {self.total}, and the parts add up to {together}: {added}")

    @classmethod
    def of_context(cls, tokens: int) -> Budgets:
        """The division of a context of so many tokens that nobody has divided.

        Up to 8,192 tokens in the shares of those. Above, each part but the answer grows by the same
        factor with each doubling, so that it passes through the numbers for 131,072.
        """
        doublings = max(0.0, math.log2(tokens / _SHORT))
        span = math.log2(_LONG / _SHORT)
        parts = {
            name: round(short * (long / short) ** (doublings / span) / _STEP) * _STEP
            for name, (short, long) in _GIVEN.items()
        }
        whole = max(tokens, _SHORT)
        return cls(whole, **parts, generation=whole - sum(parts.values())).scaled(tokens)

    def scaled(self, total: int) -> Budgets:
        """The division of a shorter context; this one where it is no shorter.

        Every part keeps its least, as far as it had it; what is above that shrinks by the same
        factor. Where not even these fit, they shrink so. What rounding leaves goes to the answer.
        Every part has at least one token: a context without room for that is divided as if it had.
        """
        if total >= self.total:
            return self
        total = max(total, len(PARTS))
        sizes = {name: getattr(self, name) for name in PARTS}
        least = {name: min(size, LEAST[name]) for name, size in sizes.items()}
        if sum(least.values()) > total:
            sizes, least = least, dict.fromkeys(PARTS, 1)
        above = sum(sizes.values()) - sum(least.values())
        rest = total - sum(least.values())
        parts = {
            name: least[name] + rest * (sizes[name] - least[name]) // above for name in PARTS[:-1]
        }
        return Budgets(total, **parts, generation=total - sum(parts.values()))

    def to_dict(self) -> dict[str, int]:
        """As the catalogue and the API write them."""
        return dataclasses.asdict(self)
