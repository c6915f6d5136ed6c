"""Vectors by their scope, in memory: the nearest are found by one product with a matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
#: Rows of a scope to begin with; they double when they are full. Few scopes have more than one: the
#: words of the question are a part of them.
_FIRST_ROWS = 1


class SemanticIndex:
    """Members by scope and vector. One thread uses it at a time."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._scopes: dict[bytes, _Rows] = {}
        self._scope_of: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._scope_of)

    def __contains__(self, member: str) -> bool:
        return member in self._scope_of

    def members(self) -> frozenset[str]:
        """Every member."""
        return frozenset(self._scope_of)

    def add(self, member: str, scope: bytes, vector: Vector) -> None:
        """Keep a vector of length 1; a member that is there already gets the new one."""
        self.remove(member)
        self._scopes.setdefault(scope, _Rows(self.dimensions)).add(member, vector)
        self._scope_of[member] = scope

    def remove(self, member: str) -> None:
        """Forget a member, if it is there."""
        scope = self._scope_of.pop(member, None)
        if scope is not None and self._scopes[scope].remove(member):
            del self._scopes[scope]

    def nearest(
        self, scope: bytes, vector: Vector, least: float, most: int
    ) -> list[tuple[str, float]]:
        """At most so many members of a scope whose cosine with a vector is `least` or more, the
        nearest first.
        """
        rows = self._scopes.get(scope)
        return [] if rows is None else rows.nearest(vector, least, most)


class _Rows:
    """The vectors of one scope, as a matrix whose first rows are in use."""

    def __init__(self, dimensions: int) -> None:
        self._vectors = np.empty((_FIRST_ROWS, dimensions), dtype=np.float32)
        self._members: list[str] = []
        self._row_of: dict[str, int] = {}

    def add(self, member: str, vector: Vector) -> None:
        row = len(self._members)
        if row == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._vectors[row] = vector
        self._members.append(member)
        self._row_of[member] = row

    def remove(self, member: str) -> bool:
        """The last row takes its place; returns whether none is left."""
        row = self._row_of.pop(member)
        last = self._members.pop()
        if last != member:
            self._members[row] = last
            self._row_of[last] = row
            self._vectors[row] = self._vectors[len(self._members)]
        return not self._members

    def nearest(self, vector: Vector, least: float, most: int) -> list[tuple[str, float]]:
        cosines = self._vectors[: len(self._members)] @ vector
        near = np.flatnonzero(cosines >= least)
        if len(near) > most:
            near = near[np.argpartition(-cosines[near], most)[:most]]
        ranked = near[np.argsort(-cosines[near], kind="stable")]
        return [(self._members[row], float(cosines[row])) for row in ranked]
