"""Rounds of a debate that have ended: who said what, who sides with whom, who changed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.modes import answer_kinds, judging, members
from orchestration.modes.agreement import EXACT, Agreement
from orchestration.modes.answer_kinds import Kind
from orchestration.modes.rounds import FinishedStep, History, logical
from workers.contract.job import Job

PARTICIPANT = "participant"


@dataclass(frozen=True, slots=True)
class DebateRound:
    """One round of a debate that has ended."""

    number: int
    #: Participants, by their places in the cast, that gave an answer.
    places: tuple[int, ...]
    answers: tuple[FinishedStep, ...]
    #: None where its judge has yet to say.
    agreement: Agreement | None

    @property
    def score(self) -> float:
        """How far its answers agree; 0 where that is unknown."""
        return (self.agreement and self.agreement.score) or 0.0

    def side(self, place: int) -> object:
        """Where a participant stands: with whom, or with what words."""
        at = self.places.index(place)
        if self.agreement is None or not self.agreement.clusters:
            return answer_kinds.plain(self.answers[at].text)
        group = next(group for group in self.agreement.clusters if at in group)
        if self.agreement.method == EXACT and self.agreement.kind is not Kind.TEXT:
            return answer_kinds.read([self.answers[at].text])[1][0]
        return frozenset(self.places[member] for member in group)

    def same_sides(self, before: DebateRound) -> bool:
        """Whether nobody changed sides since that round."""
        return all(before.side(place) == self.side(place) for place in self.places)


def read(job: Job, history: History) -> list[DebateRound]:
    """The rounds in which participants have answered, in order."""
    of_round: dict[int, list[FinishedStep]] = {}
    for done in history.of_part(PARTICIPANT):
        of_round.setdefault(_number(done), []).append(done)
    rounds = []
    for number, ended in sorted(of_round.items()):
        answers = [done for done in ended if done.usable]
        judge = history.done.get(f"{judging.PART}-{number}")
        agreement = members.compared(job, answers, number, judge)
        places = tuple(place_of(done) for done in answers)
        rounds.append(DebateRound(number, places, tuple(answers), agreement))
    return rounds


def step_name(place: int, number: int) -> str:
    """The step of the participant at a place of the cast, from 0, in a round, from 1."""
    return f"{PARTICIPANT}-{place + 1}-{number}"


def place_of(done: FinishedStep) -> int:
    """The place in the cast of the participant whose step this is."""
    return int(logical(done.step.name).split("-")[1]) - 1


def _number(done: FinishedStep) -> int:
    return int(logical(done.step.name).split("-")[2])
