"""Documents that are to be ranked by how well they answer a query."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.contract.fields import known_fields

#: Documents of one request at most: as many as texts of one request for vectors.
MOST_DOCUMENTS = 2048
#: Tokens of all pairs of a request together: the most documents, each with a query of 512 tokens in
#: all, which is what most cross-encoders read. The query counts with each document.
MOST_PAIR_TOKENS = MOST_DOCUMENTS * 512


@dataclass(frozen=True, slots=True)
class Reranking:
    """What is to be ranked."""

    query: str
    documents: tuple[str, ...]
    #: So many of the best are told; None: all.
    top_n: int | None = None
    #: Each comes with its text.
    return_documents: bool = True
    #: A pair that is too long is read as far as it fits; else it is refused.
    truncate: bool = False

    @property
    def characters(self) -> int:
        """Characters that are read: the query's with each document."""
        return len(self.query) * len(self.documents) + sum(map(len, self.documents))

    @property
    def token_ids(self) -> int:
        """Token ids that came as such: none do."""
        return 0

    @property
    def texts(self) -> tuple[str, ...]:
        """What is read."""
        return (self.query, *self.documents)

    def without_texts(self) -> Reranking:
        """What is kept of it once they were ranked."""
        return dataclasses.replace(self, query="", documents=())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reranking:
        """Rebuild what `to_dict` wrote."""
        return cls(**{**known_fields(cls, data), "documents": tuple(data["documents"])})

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {**dataclasses.asdict(self.without_texts()), "query": self.query} | {
            "documents": self.documents
        }
