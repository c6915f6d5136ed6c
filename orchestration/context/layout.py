"""The layout of a prompt: how many tokens each part asks for and gets, within its budget. Pure.

Three rules. The whole prompt leaves room for an answer in the model's window. What the steps before
hand on has its part: trajectory and handoff together the two of them, since decisions stand in the
first and texts in the second; half of the handoff's part is the texts' in any case. Over it, texts
may borrow what the other parts leave, and the answer's part stays whole. System message and
question are limited by the window alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from presets.budgets import PARTS, Budgets

#: Tokens of an answer for which a prompt has to leave room at least.
LEAST_ANSWER = 1


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of a prompt, part by part, as they were counted."""

    system: int
    trajectory: int
    #: The texts that are handed on.
    handoff: int
    #: The whole prompt, with what the chat template and the step's own words add.
    prompt: int

    @property
    def user_query(self) -> int:
        """What is left: the question, the conversation before it, and the step's words."""
        return max(0, self.prompt - self.system - self.trajectory - self.handoff)


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """What a step's prompt is planned to have. `asked` is before anything was shortened."""

    budgets: Budgets
    sizes: Sizes
    #: Tokens that the texts would have had as they were written.
    asked_handoff: int
    #: Tokens of the answer that are asked for: the caller's bound, else the generation part.
    asked_generation: int

    @property
    def generation(self) -> int:
        """Tokens that the answer gets: never more than the window has left."""
        return max(0, min(self.asked_generation, self.budgets.total - self.sizes.prompt))

    @property
    def fits(self) -> bool:
        """Whether the window takes the prompt and an answer."""
        return self.sizes.prompt + LEAST_ANSWER <= self.budgets.total

    @property
    def crowded(self) -> bool:
        """Whether the handed-on texts are too long: over their part, at the cost of the answer's.

        An answer that is to be shorter than its part lends the rest of it.
        """
        share = min(self.asked_generation, self.budgets.generation)
        return self.excess > 0 and self.sizes.prompt + share > self.budgets.total

    @property
    def excess(self) -> int:
        """Tokens that the handed-on texts have too many; 0 where prompt and parts keep to theirs.

        It may be more than the texts have: then no shortening helps.
        """
        sizes, budgets = self.sizes, self.budgets
        if sizes.handoff == 0:
            return 0 if self.fits else sizes.prompt + LEAST_ANSWER - budgets.total
        # However much was decided, texts keep half of their part.
        room = max(budgets.trajectory + budgets.handoff - sizes.trajectory, budgets.handoff // 2)
        over_part = sizes.handoff - room
        over_window = sizes.prompt + LEAST_ANSWER - budgets.total
        return max(0, over_part, over_window)

    @property
    def short_of_answer(self) -> int:
        """Tokens that the answer lacks of what it asks for."""
        return self.asked_generation - self.generation

    def to_dict(self) -> dict[str, Any]:
        """What callers are shown: the window, and of each part its budget, asked and got."""
        got = {
            "system": self.sizes.system,
            "trajectory": self.sizes.trajectory,
            "handoff": self.sizes.handoff,
            "user_query": self.sizes.user_query,
            "generation": self.generation,
        }
        asked: Mapping[str, int] = {
            **got,
            "handoff": self.asked_handoff,
            "generation": self.asked_generation,
        }
        return {
            "window": self.budgets.total,
            "parts": {
                part: {
                    "budget": getattr(self.budgets, part),
                    "asked": asked[part],
                    "got": got[part],
                }
                for part in PARTS
            },
        }
