"""Mode `critique`: one model answers, another judges, the first revises.

A round is one critique and one revision; every revision is judged too, the last one as well, since
only a judged one can replace what was there. Everything is held back until it is accepted: the
draft wins over a revision that is empty, cut off, worse by the critic's own score, or contradicts
by the critic's word what was settled before, and over a critic that cannot judge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orchestration.modes import fallbacks
from orchestration.modes.base import Reading
from orchestration.modes.rounds import Answer, Failure, FinishedStep, History, Next, Round, Step
from orchestration.prompts import Prompts, Trajectory
from workers.contract.job import Job, ResponseFormat, Sampling
from workers.contract.step import Assignment

GENERATOR, CRITIC = "generator", "critic"
#: Tokens of a critique at most: enough for some defects with quotes; a critic that goes on and on
#: is cut off and not believed.
CRITIQUE_TOKENS = 512
NO_CHANGE, REVISE = "no change", "revise"
_TEXT = {"type": "string", "maxLength": 160}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "verdict": {"enum": [NO_CHANGE, REVISE]},
        "score": {"type": "number"},
        "defects": {
            "type": "array",
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {"problem": _TEXT, "quote": _TEXT},
                "required": ["problem", "quote"],
                "additionalProperties": False,
            },
        },
        "contradictions": {"type": "array", "maxItems": 2, "items": _TEXT},
    },
    "required": ["verdict", "score", "defects", "contradictions"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a critic found, in a form that can be used."""

    verdict: str
    #: 0 to 1.
    score: float
    defects: tuple[dict[str, str], ...]
    contradictions: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Judgement:
        """What a critique says.

        Raises:
            ValueError: it is no JSON of the schema, or its score is no number from 0 to 1; says so.
        """
        try:
            told = json.loads(text, strict=False)
            score = float(told["score"])
            defects = tuple(
                {"problem": str(one["problem"]).strip(), "quote": str(one["quote"]).strip()}
                for one in told["defects"]
            )
            verdict, contradictions = str(told["verdict"]), tuple(map(str, told["contradictions"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError("it has not the form that was asked for") from error
        if not 0 <= score <= 1:
            raise ValueError(f"its score {score:g} is not from 0 to 1")
        if verdict not in (NO_CHANGE, REVISE):
            raise ValueError(f"its verdict {verdict[:40]!r} is none")
        defects = tuple(one for one in defects if one["problem"])
        return cls(verdict, score, defects, tuple(one for one in contradictions if one.strip()))


class Critique:
    """Draft, then rounds of one critique and one revision."""

    def __init__(self, templates: Prompts) -> None:
        self._templates = templates

    def total_steps(self, job: Job) -> int:
        """Draft, its critique, and as many revisions with theirs as may be."""
        return 2 + 2 * _rounds(job)

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`."""
        return Round((self._generate(job, "draft", "draft", 1),))

    def advance(self, job: Job, story: History) -> Next:
        """See `Mode.advance`."""
        texts, critiques = story.of_part(GENERATOR), story.of_part(CRITIC)
        if not texts[0].usable:
            return fallbacks.fall_back(texts[:1], self.total_steps(job))
        last = texts[-1]
        # What is not whole replaces nothing: its critic would not see that it was cut off.
        replaces = last.usable and (len(texts) == 1 or last.outcome.finish_reason != "length")
        if len(critiques) < len(texts) and replaces:
            return Round((self._judge(job, last, len(critiques), story),))
        judgements = [_judgement(done) for done in critiques]
        accepted, score = _accept(texts, judgements)
        facts: dict[str, Any] = {"rounds": len(texts) - 1}
        if score is not None:
            facts["confidence"] = score
        latest = judgements[-1] if judgements else None
        if not replaces:
            return self._end(job, accepted, facts, f"{last.step.name} was {_why_not(last)}")
        if latest is None or isinstance(latest, str):
            return self._end(job, accepted, facts, f"the critique is unusable: {latest}")
        if accepted is not last:
            return self._end(job, accepted, facts, f"{last.step.name} was not better")
        enough = latest.verdict == NO_CHANGE or latest.score >= float(
            job.bounds["critique_threshold"]
        )
        if enough or len(texts) > _rounds(job):
            return self._end(job, accepted, facts, None)
        number = len(texts)
        return Round(
            (
                self._generate(
                    job,
                    f"revision-{number}",
                    "revise",
                    1 + 2 * number,
                    previous=last.text,
                    defects=latest.defects,
                ),
            )
        )

    def read(self, _job: Job, done: FinishedStep) -> Reading:
        """See `Mode.read`."""
        if done.step.part != CRITIC:
            return Reading()
        found = _judgement(done)
        if isinstance(found, str):
            return Reading({"problem": found}, judges=True)
        return Reading(
            {
                "score": found.score,
                "verdict": found.verdict,
                "defects": list(found.defects),
                "contradictions": list(found.contradictions),
            },
            errors=(
                *(one["problem"] for one in found.defects),
                *(f"contradicts: {one}" for one in found.contradictions),
            ),
            evidence=tuple(one["quote"] for one in found.defects if one["quote"]),
            judges=True,
        )

    def fresh(self, job: Job, _done: FinishedStep) -> Assignment | None:
        """The caller's request alone."""
        return self._generate(job, "draft", "draft", 1).assignment

    def _end(
        self, job: Job, accepted: FinishedStep, facts: dict[str, Any], note: str | None
    ) -> Answer | Failure:
        told = {**facts, "note": note} if note else facts
        return Answer(accepted, self.total_steps(job), facts=told)

    def _generate(self, job: Job, name: str, template: str, number: int, **values: Any) -> Step:
        told = Trajectory(
            number,
            self.total_steps(job),
            "draft" if number == 1 else "revise",
            "none" if number == 1 else "critique",
            "critique",
        )
        messages = self._templates.messages(job, template, told, **values)
        return Step(name, GENERATOR, _model(job, GENERATOR), Assignment(messages, job.sampling))

    def _judge(self, job: Job, text: FinishedStep, before: int, story: History) -> Step:
        number = before + 1
        told = Trajectory(2 * number, self.total_steps(job), "critique", text.step.name, "revise")
        decisions = story.handoff.decisions_made[:-1]
        messages = self._templates.messages(
            job,
            "critique",
            told,
            previous=text.text,
            decisions=decisions,
        )
        sampling = Sampling(
            max_tokens=CRITIQUE_TOKENS,
            temperature=0.0,
            seed=job.sampling.seed,
            response_format=ResponseFormat("json_schema", SCHEMA),
        )
        return Step(
            f"critique-{number}", CRITIC, _model(job, CRITIC), Assignment(messages, sampling)
        )


def _accept(
    texts: list[FinishedStep], judgements: list[Judgement | str]
) -> tuple[FinishedStep, float | None]:
    """The text that stands after these critiques, and its score; the draft where none is better."""
    accepted, best = texts[0], None
    for text, found in zip(texts, judgements, strict=False):
        if isinstance(found, str) or (text is not texts[0] and found.contradictions):
            continue
        if best is None or found.score >= best:
            accepted, best = text, found.score
    return accepted, best


def _judgement(done: FinishedStep) -> Judgement | str:
    """What a critique says, or why that cannot be used."""
    if not done.usable:
        return fallbacks.reason(done).message
    if done.outcome.finish_reason == "length":
        return "it was cut off"
    try:
        return Judgement.read(done.text)
    except ValueError as error:
        return str(error)


def _why_not(done: FinishedStep) -> str:
    if done.error is not None:
        return f"not made: {done.error.message}"
    if done.problem is not None:
        return f"put aside: {done.problem}"
    return "empty" if not done.text.strip() else "cut off"


def _model(job: Job, part: str) -> str:
    return next(one.model for one in job.cast if one.part == part)


def _rounds(job: Job) -> int:
    return int(job.bounds["critique_max_rounds"])
