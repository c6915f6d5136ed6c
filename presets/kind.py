"""What a model does with what it reads."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """The kinds of models; each has addresses of its own."""

    #: It writes answers.
    GENERATION = "generation"
    #: It makes one vector of each text.
    EMBEDDING = "embedding"
