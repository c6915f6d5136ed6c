"""A caller's own whole prompt: what a model reads without a conversation and a chat template."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.fields import known_fields


@dataclass(frozen=True, slots=True)
class ContextFile:
    """Another file that a model is shown before it fills in one."""

    filename: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text or its token ids; with a suffix, the text before a gap that the answer fills."""

    text: str = ""
    #: Instead of a text.
    token_ids: tuple[int, ...] | None = None
    #: Special tokens in the text are read as such; else, and around a gap, they are text.
    parse_special: bool = True
    #: The answer begins with the prompt itself.
    echo: bool = False
    #: What comes after the answer: the model fills in between. None: nothing is said of it.
    suffix: str | None = None
    #: How the answer begins, between text and suffix; it is not repeated.
    middle: str = ""
    #: Shown before the text, where there is room; only with a suffix.
    files: tuple[ContextFile, ...] = ()
    #: What is far from the gap may be left out where the context is too small; only with a suffix.
    may_be_cut: bool = False

    @property
    def characters(self) -> int:
        """Characters of all its texts."""
        files = sum(len(file.filename) + len(file.text) for file in self.files)
        return len(self.text) + len(self.suffix or "") + len(self.middle) + files

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prompt:
        """Rebuild what `to_dict` wrote."""
        known = known_fields(cls, data)
        if (ids := data.get("token_ids")) is not None:
            known["token_ids"] = tuple(ids)
        known["files"] = tuple(
            ContextFile(**known_fields(ContextFile, file)) for file in data.get("files", ())
        )
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; ids are not looked at one by one, as `asdict` would."""
        data = dataclasses.asdict(dataclasses.replace(self, token_ids=None))
        return {**data, "token_ids": self.token_ids}
