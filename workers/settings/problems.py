"""What is wrong with settings, in words that name the variable, its value and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One variable that cannot be used as it is set."""

    variable: str
    value: str
    allowed: str
    #: The variable and value that it contradicts, where each alone could be used.
    against: tuple[str, str] | None = None

    def __str__(self) -> str:
        text = f"{self.variable}={self.value!r} cannot be used"
        if self.against is not None:
            name, value = self.against
            text += f" with {name}={value!r}"
        return f"{text}; allowed: {self.allowed}"


class SettingsError(Exception):
    """One or more settings cannot be used; start-up stops."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))
