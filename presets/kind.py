"""What a model does with what it reads."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """The kinds of models; each has addresses of its own."""

    #: It writes answers.
    GENERATION = "generation"
    #: It makes one vector of each text.
    EMBEDDING = "embedding"
    #: It scores how well documents answer a query: a cross-encoder reads each with the query.
    RERANK = "rerank"

    @property
    def writes(self) -> bool:
        """Whether it writes; else it reads each text at once and keeps nothing of it."""
        return self is Kind.GENERATION
