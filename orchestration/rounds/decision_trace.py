"""The trace of a decision between two rounds."""

from __future__ import annotations

import time
from collections.abc import Iterator

from orchestration.modes.rounds import JobAnswer, JobFailure, Round
from orchestration.rounds.policy import RoundDecision
from workers.store.leases import Lease
from workers.tracing import recording
from workers.tracing.span import Attribute, Span, id_of

#: Of what was found in a step's text: what quotes none of it.
_FINDINGS = ("score", "verdict", "contamination", "recommendation")


class DecisionTrace:
    """Made when the lease of a step that decides has been taken."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._began_ns = time.time_ns()
        #: What was decided; None where nothing was.
        self.decision: RoundDecision | None = None
        #: The code of what it failed with; "" where it did not.
        self.error = ""

    def record(self) -> None:
        """Record the decision, whose steps have been sent."""
        job, step, number = self._lease.job, self._lease.request.step, self._lease.attempt
        if job.trace is None or not recording.is_recorded(job.trace):
            return
        attributes: dict[str, Attribute] = {
            "inference.mode": job.mode,
            "inference.step": step,
            "inference.attempt": number,
            "inference.waited_ms": self._lease.waited_ms,
            **(dict(_decided(self.decision)) if self.decision else {}),
        }
        recording.record(
            Span(
                f"decide {job.mode}",
                id_of(job.id, step, number),
                job.trace,
                self._began_ns,
                time.time_ns(),
                attributes,
                error=self.error,
                after=(id_of(job.id, step, number - 1),) if number > 1 else (),
            )
        )


def _decided(decision: RoundDecision) -> Iterator[tuple[str, Attribute]]:
    match decision.next:
        case Round() as round_:
            yield "inference.decision", "next round"
            yield "inference.next_steps", [step.name for step in round_.steps]
        case JobAnswer() as answer:
            yield "inference.decision", "answer"
            yield "inference.answer_step", answer.done.step.name
        case JobFailure(error):
            yield "inference.decision", f"failure: {error.code}"
    for assessed in decision.assessed:
        findings = {**assessed.findings, **assessed.findings.get("validation", {})}
        for name in _FINDINGS:
            found = findings.get(name)
            if isinstance(found, (str, int, float)):
                yield f"inference.found.{assessed.step}.{name}", found
