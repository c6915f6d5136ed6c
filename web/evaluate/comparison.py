"""The comparison: what a preset's answers are worth beside its lead's alone. Pure.

Three kinds of rows: a model alone, with its first answer; self-consistency, which is the answer
that most of its first n answers give; and a preset. A job that failed is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from presets.preset import Preset
from web.evaluate.asks import Ask, lead
from web.evaluate.evaluation import Evaluation
from web.evaluate.ledger import LedgerAnswer
from web.evaluate.scoring import answer_of, is_right
from web.evaluate.statistics import Change, change, quantile, wilson
from web.evaluate.tasks import Task
from web.evaluate.voting import majority
from workers.contract.job import DEFAULT_MODE

#: A difference that chance makes less often than this is called one. Each preset is judged by
#: itself: of twenty that differ in nothing, one will seem to.
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """What one way to answer made of one question."""

    task: Task
    text: str
    #: The text's answer in one spelling; None: none could be read.
    said: str | None
    right: bool
    completion_tokens: int
    prompt_tokens: int
    latency_s: float | None
    failed: bool


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One way to answer all questions."""

    name: str
    #: `single`, `self-consistency`, or the preset's mode.
    mode: str
    model: str
    #: None: a model alone, or a vote of its answers.
    preset: str | None
    #: Answers of the model that each answer is made of; 1 where a preset gave it.
    samples: int
    answers: tuple[ScoredAnswer, ...]
    #: Beside the lead alone, and beside its self-consistency at the same tokens.
    beside_single: Change | None = None
    beside_consistency: Change | None = None

    @property
    def right(self) -> int:
        """Right answers."""
        return sum(answer.right for answer in self.answers)

    @property
    def failed(self) -> int:
        """Questions whose job did not complete."""
        return sum(answer.failed for answer in self.answers)

    @property
    def accuracy(self) -> float:
        """Right answers of all, 0 to 1."""
        return self.right / len(self.answers)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy lies at 95 %."""
        return wilson(self.right, len(self.answers))

    @property
    def completion_tokens(self) -> float:
        """Tokens that were made for an answer, of all steps, on average."""
        return sum(answer.completion_tokens for answer in self.answers) / len(self.answers)

    @property
    def prompt_tokens(self) -> float:
        """Tokens that were read for an answer, of all steps, on average."""
        return sum(answer.prompt_tokens for answer in self.answers) / len(self.answers)

    def latency_s(self, part: float) -> float | None:
        """The latency below which this part of the answers came; None where none was measured."""
        known = [answer.latency_s for answer in self.answers if answer.latency_s is not None]
        return quantile(known, part) if known else None


def compare(evaluation: Evaluation, presets: Iterable[Preset]) -> list[ResultRow]:
    """The rows of these presets, as far as their questions are answered.

    A lead comes once, before the first of its presets; so does a vote with as many answers.
    """
    rows: dict[str, ResultRow] = {}
    for preset in presets:
        firsts = _scored(evaluation, evaluation.singles(preset))
        if firsts is None:
            continue
        alone = ResultRow(lead(preset), DEFAULT_MODE, lead(preset), None, 1, firsts)
        rows.setdefault(alone.name, alone)
        given = _scored(evaluation, evaluation.togethers(preset))
        if preset.mode == DEFAULT_MODE or given is None:
            continue
        vote = _vote(evaluation, preset)
        if vote is not None:
            vote = _beside(vote, alone)
            rows.setdefault(vote.name, vote)
        row = ResultRow(preset.id, preset.mode, lead(preset), preset.id, 1, given)
        rows[preset.id] = _beside(row, alone, vote or alone)
    return list(rows.values())


def verdict(row: ResultRow) -> str:
    """What a preset's row shows, in a sentence; empty for rows of a model alone."""
    if row.preset is None or row.beside_single is None or row.beside_consistency is None:
        return ""
    single = _direction(row.beside_single)
    consistency = _direction(row.beside_consistency)
    if single > 0 and consistency > 0:
        return "pays: better than its lead alone, and than self-consistency at the same tokens"
    if single > 0:
        return (
            "better than its lead alone, but not shown to be better than self-consistency at the "
            "same tokens, which is simpler"
        )
    if single < 0:
        return "does not pay: worse than its lead alone"
    if consistency < 0:
        return "does not pay: worse than self-consistency at the same tokens"
    return "does not pay: no difference to its lead alone is shown, at its cost"


def _direction(changed: Change) -> int:
    if changed.p >= SIGNIFICANT:
        return 0
    return 1 if changed.better > changed.worse else -1


def _beside(row: ResultRow, alone: ResultRow, consistency: ResultRow | None = None) -> ResultRow:
    def beside(other: ResultRow) -> Change:
        return change(
            [answer.right for answer in other.answers], [answer.right for answer in row.answers]
        )

    return replace(
        row,
        beside_single=beside(alone),
        beside_consistency=None if consistency is None else beside(consistency),
    )


def _vote(evaluation: Evaluation, preset: Preset) -> ResultRow | None:
    """Self-consistency at the preset's tokens; None where that is one answer, or some lack."""
    count = evaluation.samples(preset)
    if count is None or count < 2:
        return None
    drawn = [_scored(evaluation, evaluation.singles(preset, at)) for at in range(count)]
    whole = [answers for answers in drawn if answers is not None]
    if len(whole) < count:
        return None
    given = tuple(_elected(votes) for votes in zip(*whole, strict=True))
    model = lead(preset)
    return ResultRow(f"{model} x {count}", "self-consistency", model, None, count, given)


def _elected(votes: Sequence[ScoredAnswer]) -> ScoredAnswer:
    """The vote's winner, at the cost of all; as slow as the slowest, were all sent at once."""
    winner = votes[majority([answer.said for answer in votes])]
    latencies = [answer.latency_s for answer in votes if answer.latency_s is not None]
    return ScoredAnswer(
        task=winner.task,
        text=winner.text,
        said=winner.said,
        right=winner.right,
        completion_tokens=sum(answer.completion_tokens for answer in votes),
        prompt_tokens=sum(answer.prompt_tokens for answer in votes),
        latency_s=max(latencies) if len(latencies) == len(votes) else None,
        failed=all(answer.failed for answer in votes),
    )


def _scored(evaluation: Evaluation, asks: Sequence[Ask]) -> tuple[ScoredAnswer, ...] | None:
    """What came of these asks; None while one is not answered."""
    kept = [(ask, evaluation.ledger.get(ask)) for ask in asks]
    if any(answer is None for _, answer in kept):
        return None
    return tuple(_score(ask.task, answer) for ask, answer in kept if answer is not None)


def _score(task: Task, answer: LedgerAnswer) -> ScoredAnswer:
    said = answer_of(task, answer.text)
    return ScoredAnswer(
        task=task,
        text=answer.text,
        said=said,
        right=is_right(task, said),
        completion_tokens=answer.completion_tokens,
        prompt_tokens=answer.prompt_tokens,
        latency_s=answer.latency_s,
        failed=answer.error is not None,
    )
