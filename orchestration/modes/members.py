"""Members: models that answer the same request at once, and what becomes of their answers. Pure."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestration.modes import agreement, fallbacks, judging
from orchestration.modes.agreement import Agreement, Voter
from orchestration.modes.rounds import Answer, Failure, FinishedStep, History
from workers.contract.errors import OrchestrationFailed
from workers.contract.job import Job, Part, Sampling
from workers.store.planned import Patience

#: Temperature from which members of one model id spread, where the caller asks for none: at 0 they
#: would all say the same. Wang et al. (self-consistency, 2022) sample at 0.5 to 0.7.
SPREAD_FROM = 0.7
#: How much hotter each further one of them samples, and the hottest.
_STEP, _HOTTEST = 0.1, 1.2


def of_part(job: Job, *parts: str) -> list[Part]:
    """Those of the cast who play one of these parts."""
    return [one for one in job.cast if one.part in parts]


def quorum(job: Job, members: int) -> int:
    """How many of so many members must answer: as it is set, else more than half of them."""
    asked = int(job.bounds["quorum"])
    return min(members, asked or members // 2 + 1)


def patience(job: Job, members: int) -> Patience:
    """How long so many members are waited for."""
    return Patience(
        quorum(job, members), float(job.bounds["grace_s"]), float(job.bounds["timeout_s"])
    )


def sampling(job: Job, members: Sequence[Part], at: int, round_: int = 1) -> Sampling:
    """How a member samples: those that share a model with seeds and temperatures of their own."""
    same = [place for place, one in enumerate(members) if one.model == members[at].model]
    asked = job.sampling
    if len(same) == 1:
        return asked
    number = same.index(at)
    seed = asked.seed if asked.seed is not None else _number(job.id)
    base = float(job.bounds.get("temperature", 0)) or asked.temperature
    if base == 0 and number > 0:
        base = SPREAD_FROM
    return replace(
        asked,
        seed=(seed + 1000 * (round_ - 1) + number) % 2**31,
        temperature=max(base, min(_HOTTEST, round(base + _STEP * number, 3))),
    )


def shuffled(job: Job, round_: int, reader: int, count: int) -> list[int]:
    """An order of so many answers that tells nothing of who gave them, the same at every look."""
    order = list(range(count))
    random.Random(f"{job.id} {round_} {reader}").shuffle(order)
    return order


def voters(answered: Sequence[FinishedStep]) -> list[Voter]:
    """These steps as voters."""
    return [Voter(done.step.name, done.step.model, done.text) for done in answered]


def compared(
    job: Job, answered: Sequence[FinishedStep], round_: int, judge: FinishedStep | None
) -> Agreement | None:
    """How far answers of a round agree; None where its judge has yet to say so."""
    found = agreement.compare(voters(answered))
    if found is not None or judge is None:
        return found
    order = shuffled(job, round_, 0, len(answered))
    return judging.judged(voters(answered), order, judge)


def failed(story: History, *parts: str) -> list[dict[str, Any]]:
    """The members whose text was of no use, and why."""
    told = []
    for done in story.of_part(*parts):
        if not done.usable:
            error = fallbacks.reason(done)
            told.append(
                {
                    "model": done.step.model,
                    "step": done.step.name,
                    "code": error.code,
                    "reason": error.message,
                }
            )
    return told


def facts(found: Agreement | None, story: History, *parts: str) -> dict[str, Any]:
    """What an answer tells of its members: agreement, confidence, and who failed."""
    told: dict[str, Any] = {}
    if found is not None:
        if found.score is not None:
            told["confidence"] = found.score
        told["agreement"] = found.to_dict()
    if missing := failed(story, *parts):
        told["failed_models"] = missing
    return told


def chosen(answered: Sequence[FinishedStep], found: Agreement | None) -> FinishedStep:
    """The answer that most support: of the largest group, the one that stands first."""
    leaders = found.leaders if found is not None else range(len(answered))
    return answered[min(leaders)]


def too_few(
    story: History, answered: Sequence[FinishedStep], needed: int, total_steps: int, *parts: str
) -> Answer | Failure:
    """How a job ends whose members did not answer in the number that is needed."""
    missing = failed(story, *parts)
    reasons = "; ".join(
        f"{one['step']} by {one['model']}: {one['reason'].rstrip('.')}" for one in missing
    )
    error = OrchestrationFailed(
        f"{len(answered)} of {len(missing) + len(answered)} models answered, {needed} are needed. "
        f"{reasons}.",
        details={"failed_models": missing},
    )
    if not answered:
        return fallbacks.failure(story.of_part(*parts), error)
    return Answer(answered[0], total_steps, error, facts(None, story, *parts))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 2**31
