"""An option of a model that no model can have."""

from __future__ import annotations


class WrongOption(ValueError):
    """Says what is allowed; `option` names it."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(problem)
        self.option = option
