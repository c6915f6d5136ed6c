"""Templates: the text of one kind of prompt, in Jinja, beside the values that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class PromptError(ValueError):
    """A template cannot be used; the message names its file and why."""


@dataclass(frozen=True, slots=True)
class Template:
    """One template. An operator's own file `<catalogue dir>/prompts/<name>.jinja` replaces it."""

    name: str
    #: Jinja. `request` is the caller's last message; the other values are those of the sample.
    text: str
    #: Values with which the template is tried at start-up.
    sample: Mapping[str, Any]
    #: What a step of this prompt has to decide, in half a sentence; its trajectory says it.
    decides: str = ""

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.jinja"


#: The caller's request as it is: what a first step is asked.
DRAFT = Template("draft", "{{ request }}\n", {"request": "r"}, "what the answer is")
