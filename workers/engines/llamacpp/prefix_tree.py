"""The prefix tree: which entries begin with the same tokens, and for whom that may show.

A radix tree over token ids. What a request sent is visible to the API key that sent it, and to
all once two keys have sent it: how fast an answer begins, and its count of cached tokens, must not
tell one key what another has asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

E = TypeVar("E")


@dataclass(eq=False, slots=True)
class _Node(Generic[E]):
    """A run of tokens, which all entries below begin with."""

    run: list[int]
    parent: _Node[E] | None
    #: The API key that has sent this run; None is one too: those that need no key.
    owner: str | None
    #: More than one key has.
    is_public: bool = False
    #: By the first token of their runs.
    children: dict[int, _Node[E]] = field(default_factory=dict)
    #: Those that end with this run.
    entries: list[E] = field(default_factory=list)

    def shows_to(self, owner: str | None) -> bool:
        """Whether a key may learn that the run was sent."""
        return self.is_public or self.owner == owner

    def below(self, *, without: _Node[E] | None) -> Iterator[E]:
        """The entries that end here or later, except those of one of the nodes below."""
        nodes = [self]
        while nodes:
            node = nodes.pop()
            if node is not without:
                yield from node.entries
                nodes.extend(node.children.values())


class PrefixTree(Generic[E]):
    """Entries by their tokens."""

    def __init__(self) -> None:
        self._root: _Node[E] = _Node([], None, None, is_public=True)
        self._nodes: dict[E, _Node[E]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def add(
        self, entry: E, tokens: list[int], owner: str | None, *, public_length: int = 0
    ) -> None:
        """Add an entry that this key sent; others have sent the first `public_length` tokens."""
        node, length = self._root, 0
        while length < len(tokens):
            child = node.children.get(tokens[length])
            if child is None:
                child = _Node(tokens[length:], node, owner)
                node.children[tokens[length]] = child
            common = common_length(child.run, tokens, begin=length)
            if length < public_length < length + common:
                common = public_length - length
            if common < len(child.run):
                child = _split(child, common)
            node, length = child, length + common
            node.is_public |= node.owner != owner or length <= public_length
        node.entries.append(entry)
        self._nodes[entry] = node

    def remove(self, entry: E) -> None:
        """Remove an entry, and the runs that nothing else has."""
        node = self._nodes.pop(entry)
        node.entries.remove(entry)
        while node.parent is not None and not node.entries and not node.children:
            del node.parent.children[node.run[0]]
            node = node.parent

    def visible_length(self, tokens: list[int], owner: str | None) -> int:
        """How many of the first tokens this key may find here."""
        length = 0
        for node, common in self._path(tokens, len(tokens)):
            if not node.shows_to(owner):
                break
            length += common
        return length

    def public_length(self, tokens: list[int]) -> int:
        """How many of the first tokens every key may find here."""
        length = 0
        for node, common in self._path(tokens, len(tokens)):
            if not node.is_public:
                break
            length += common
        return length

    def shared(self, tokens: list[int], most: int) -> Iterator[tuple[int, list[E]]]:
        """The entries that share a beginning with these tokens, at most `most` of them.

        The longest beginning first; each entry comes once.
        """
        path = []
        length = 0
        for node, common in self._path(tokens, most):
            length += common
            path.append((length, node))
        deeper: _Node[E] | None = None
        for length, node in reversed(path):
            yield length, list(node.below(without=deeper))
            deeper = node

    def contained(self, tokens: list[int], most: int) -> list[E]:
        """Entries that are a beginning of these tokens, at most `most` long; the shortest first."""
        entries: list[E] = []
        for node, common in self._path(tokens, most):
            if common == len(node.run):
                entries += node.entries
        return entries

    def _path(self, tokens: list[int], most: int) -> Iterator[tuple[_Node[E], int]]:
        """The nodes along these tokens, each with how much of its run they share."""
        node, length = self._root, 0
        while length < most and (child := node.children.get(tokens[length])) is not None:
            common = min(common_length(child.run, tokens, begin=length), most - length)
            yield child, common
            if common < len(child.run):
                return
            node, length = child, length + common


def _split(node: _Node[E], length: int) -> _Node[E]:
    """Put a node of the first tokens of a run above the rest of it."""
    parent = node.parent
    if parent is None:
        raise RuntimeError("the root has no run to split")
    first = _Node(node.run[:length], parent, node.owner, node.is_public)
    parent.children[first.run[0]] = first
    node.run, node.parent = node.run[length:], first
    first.children[node.run[0]] = node
    return first


def common_length(run: list[int], tokens: list[int], *, begin: int) -> int:
    """How many tokens of a run are those from `begin` on; compares slices, which C does fast."""
    low, high = 0, min(len(run), len(tokens) - begin)
    while low < high:
        middle = (low + high + 1) // 2
        if run[low:middle] == tokens[begin + low : begin + middle]:
            low = middle
        else:
            high = middle - 1
    return low
