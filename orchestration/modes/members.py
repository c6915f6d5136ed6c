"""Members: models that answer the same request at once, and what becomes of their answers. Pure."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestration.modes import agreement, fallbacks, judging
from orchestration.modes.agreement import Agreement, Voter
from orchestration.modes.base import Bounds
from orchestration.modes.rounds import FinishedStep, History, JobAnswer, JobFailure
from presets.preset import Preset
from workers.contract.errors import OrchestrationFailed
from workers.contract.job import CastMember, Job
from workers.contract.sampling import Sampling
from workers.settings import Settings
from workers.store.planned import Patience

#: Temperature from which members of one model id spread, where the caller asks for none: at 0 they
#: would all say the same. Wang et al. (self-consistency, 2022) sample at 0.5 to 0.7.
SPREAD_FROM = 0.7
#: How much hotter each further one of them samples, and the hottest.
_STEP, _HOTTEST = 0.1, 1.2


def bounds(settings: Settings, preset: Preset | None) -> Bounds:
    """How long members are waited for, and how hot those of one model sample."""
    limits: dict[str, float | str] = {
        "quorum": settings.quorum,
        "grace_s": settings.quorum_grace_s,
        "timeout_s": settings.member_timeout_s,
    }
    if preset is not None and preset.temperature is not None:
        limits["temperature"] = preset.temperature
    return limits


def in_turn(preset: Preset, models: Sequence[str]) -> list[str]:
    """These models, each once; in turn, where the preset has more members than models."""
    distinct = list(dict.fromkeys(models))
    count = max(preset.members or 0, len(distinct))
    return [distinct[at % len(distinct)] for at in range(count)]


def of_part(job: Job, *parts: str) -> list[CastMember]:
    """Those of the cast who have one of these parts."""
    return [member for member in job.cast if member.part in parts]


def quorum(job: Job, members: int) -> int:
    """How many of so many members must answer: as it is set, else more than half of them."""
    wanted = int(job.bounds["quorum"])
    return min(members, wanted or members // 2 + 1)


def patience(job: Job, members: int) -> Patience:
    """How long so many members are waited for."""
    return Patience(
        quorum(job, members), float(job.bounds["grace_s"]), float(job.bounds["timeout_s"])
    )


def sampling(job: Job, members: Sequence[CastMember], at: int, round_: int = 1) -> Sampling:
    """How a member samples: those that share a model with seeds and temperatures of their own."""
    model = members[at].model
    sharing = [place for place, member in enumerate(members) if member.model == model]
    requested = job.sampling
    if len(sharing) == 1:
        return requested
    number = sharing.index(at)
    seed = requested.seed if requested.seed is not None else _seed(job.id)
    base = float(job.bounds.get("temperature", 0)) or requested.temperature
    if base == 0 and number > 0:
        base = SPREAD_FROM
    return replace(
        requested,
        seed=(seed + 1000 * (round_ - 1) + number) % 2**31,
        temperature=max(base, min(_HOTTEST, round(base + _STEP * number, 3))),
    )


def shuffled(job: Job, round_: int, reader: int, count: int) -> list[int]:
    """An order of so many answers that does not show who gave them; the same at every call."""
    order = list(range(count))
    # An order, and no secret.
    random.Random(f"{job.id} {round_} {reader}").shuffle(order)  # nosec B311
    return order


def voters(answered: Sequence[FinishedStep]) -> list[Voter]:
    """These steps as voters."""
    return [Voter(done.step.name, done.step.model, done.text) for done in answered]


def compared(
    job: Job, answered: Sequence[FinishedStep], round_: int, judge: FinishedStep | None
) -> Agreement | None:
    """How far answers of a round agree; None where its judge has yet to say so."""
    exact = agreement.compare(voters(answered))
    if exact is not None or judge is None:
        return exact
    order = shuffled(job, round_, 0, len(answered))
    return judging.judged(voters(answered), order, judge)


def failed(history: History, *parts: str) -> list[dict[str, Any]]:
    """The members whose text was of no use, and why."""
    entries = []
    for done in history.of_part(*parts):
        if not done.usable:
            error = fallbacks.reason(done)
            entries.append(
                {
                    "model": done.step.model,
                    "step": done.step.name,
                    "code": error.code,
                    "reason": error.message,
                }
            )
    return entries


def facts(agreed: Agreement | None, history: History, *parts: str) -> dict[str, Any]:
    """What an answer reports of its members: agreement, confidence, and who failed."""
    report: dict[str, Any] = {}
    if agreed is not None:
        if agreed.score is not None:
            report["confidence"] = agreed.score
        report["agreement"] = agreed.to_dict()
    if missing := failed(history, *parts):
        report["failed_models"] = missing
    return report


def chosen(answered: Sequence[FinishedStep], agreed: Agreement | None) -> FinishedStep:
    """The answer that most support: of the largest group, the one that stands first."""
    leaders = agreed.leaders if agreed is not None else range(len(answered))
    return answered[min(leaders)]


def too_few(
    history: History, answered: Sequence[FinishedStep], needed: int, total_steps: int, *parts: str
) -> JobAnswer | JobFailure:
    """How a job ends whose members did not answer in the number that is needed."""
    missing = failed(history, *parts)
    reasons = "; ".join(
        f"{entry['step']} by {entry['model']}: {entry['reason'].rstrip('.')}" for entry in missing
    )
    error = OrchestrationFailed(
        f"{len(answered)} of {len(missing) + len(answered)} models answered, {needed} are needed. "
        f"{reasons}.",
        details={"failed_models": missing},
    )
    if not answered:
        return fallbacks.failure(history.of_part(*parts), error)
    return JobAnswer(answered[0], total_steps, error, facts(None, history, *parts))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 2**31
