"""Agreement: which answers say the same, and how many of them. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.modes import answer_kinds
from orchestration.modes.answer_kinds import Kind

#: How answers were compared: by their values, by a model that read them, or not at all.
EXACT, JUDGE, NONE = "exact", "judge", "none"
#: Characters of an answer that are reported of it.
_LONGEST_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Voter:
    """Who gave an answer."""

    step: str
    model: str
    text: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far answers agree."""

    method: str
    kind: Kind
    voters: tuple[Voter, ...]
    #: Voters, by their places, whose answers say the same; the largest group first.
    clusters: tuple[tuple[int, ...], ...] = ()
    #: What they agree in and where they contradict each other, in words; only a judge says that.
    agreed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    #: Why they were not compared; None where they were.
    problem: str | None = None

    @property
    def score(self) -> float | None:
        """The largest group's share of all answers; None where that is not known."""
        if not self.clusters:
            return None
        return round(len(self.clusters[0]) / len(self.voters), 3)

    @property
    def unanimous(self) -> bool:
        """Whether all say the same."""
        return len(self.clusters) == 1

    @property
    def leaders(self) -> tuple[int, ...]:
        """Voters of the largest group; all of them where nothing is known."""
        return self.clusters[0] if self.clusters else tuple(range(len(self.voters)))

    def to_dict(self) -> dict[str, Any]:
        """What `orchestration.agreement` has."""
        report: dict[str, Any] = {"method": self.method, "kind": self.kind.value}
        if self.score is not None:
            report["score"] = self.score
        report["clusters"] = [self._cluster(cluster) for cluster in self.clusters]
        report["dissent"] = [self._dissenter(at) for cluster in self.clusters[1:] for at in cluster]
        if self.agreed:
            report["agreed"] = list(self.agreed)
        if self.conflicts:
            report["conflicts"] = list(self.conflicts)
        if self.problem is not None:
            report["problem"] = self.problem
        return report

    def _cluster(self, cluster: Sequence[int]) -> dict[str, Any]:
        voters = [self.voters[at] for at in cluster]
        return {
            "steps": [voter.step for voter in voters],
            "models": list(dict.fromkeys(voter.model for voter in voters)),
            "answer": self._excerpt(voters[0]),
        }

    def _dissenter(self, at: int) -> dict[str, Any]:
        voter = self.voters[at]
        return {"step": voter.step, "model": voter.model, "answer": self._excerpt(voter)}

    def _excerpt(self, voter: Voter) -> str:
        text = voter.text if self.kind in (Kind.TEXT, Kind.JSON) else answer_kinds.final(voter.text)
        text = " ".join(text[: 8 * _LONGEST_EXCERPT].split())
        return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]} [...]"


def compare(voters: Sequence[Voter]) -> Agreement | None:
    """How far these answers agree; None where only a judge can say."""
    if len(voters) < 2:
        return unknown(voters, "there is only one answer to compare")
    kind, values = answer_kinds.read([voter.text for voter in voters])
    if kind is Kind.TEXT and len(set(values)) > 1:
        return None
    return Agreement(EXACT, kind, tuple(voters), cluster(values))


def unknown(voters: Sequence[Voter], problem: str) -> Agreement:
    """It is unknown how far they agree."""
    kind, _ = answer_kinds.read([voter.text for voter in voters])
    return Agreement(NONE, kind, tuple(voters), problem=problem)


def cluster(values: Sequence[Hashable]) -> tuple[tuple[int, ...], ...]:
    """Places of equal values, the largest group first, of two alike that which came first."""
    groups: dict[Hashable, list[int]] = {}
    for at, value in enumerate(values):
        groups.setdefault(value, []).append(at)
    return tuple(tuple(group) for group in sorted(groups.values(), key=len, reverse=True))
