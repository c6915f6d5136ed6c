"""Settings of orchestration: how several models answer one request."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting


@dataclass(frozen=True, kw_only=True)
class OrchestrationSettings:
    """The modes and their bounds."""

    orchestration_mode: str | None = setting(
        "INFERENCE_ORCHESTRATION_MODE", None, kinds.MODE,
        "Mode of a request that names none.",
        unset="the preset's, or single",
    )
    critique_max_rounds: int = setting(
        "INFERENCE_CRITIQUE_MAX_ROUNDS", 2, kinds.integer(1, 10),
        "The most rounds of one critique and one revision.",
    )
    critique_threshold: float = setting(
        "INFERENCE_CRITIQUE_THRESHOLD", 0.8, kinds.number(0, 1),
        "The critic's score from which an answer is accepted.",
    )
    debate_max_rounds: int = setting(
        "INFERENCE_DEBATE_MAX_ROUNDS", 3, kinds.integer(1, 10),
        "The most rounds of a debate.",
    )
    debate_reconcile_model: str = setting(
        "INFERENCE_DEBATE_RECONCILE_MODEL", "primary", kinds.NAME,
        "Role or model that writes a debate's answer.",
    )
    ensemble_min_agreement: float = setting(
        "INFERENCE_ENSEMBLE_MIN_AGREEMENT", 0.7, kinds.number(0, 1),
        "Agreement below which an ensemble dissents.",
    )
    ensemble_on_dissent: str = setting(
        "INFERENCE_ENSEMBLE_ON_DISSENT", "answer", kinds.choice("answer", "fail"),
        "What an ensemble does that dissents: answer and say so, or fail with "
        "ORCHESTRATION_FAILED.",
    )
    ensemble_synthesis_model: str = setting(
        "INFERENCE_ENSEMBLE_SYNTHESIS_MODEL", "primary", kinds.NAME,
        "Role or model that writes an ensemble's answer.",
    )
    quorum: int = setting(
        "INFERENCE_QUORUM", 0, kinds.integer(0, 64),
        "Members of a debate or ensemble that must answer. 0: more than half of them.",
    )
    quorum_grace_s: float = setting(
        "INFERENCE_QUORUM_GRACE_S", 60.0, kinds.number(0, 3600),
        "Seconds that the other members have after the quorum has answered.",
    )
    member_timeout_s: float = setting(
        "INFERENCE_MEMBER_TIMEOUT_S", 600.0, kinds.number(0.1, 86_400),
        "Seconds after its start that a member of a debate or ensemble is waited for at most.",
    )
    judge_model: str | None = setting(
        "INFERENCE_JUDGE_MODEL", None, kinds.NAME,
        "Role or model that decides which answers in words mean the same.",
        unset="who writes the answer",
    )
    compression: str = setting(
        "INFERENCE_COMPRESSION", "off", kinds.choice("off", "auto"),
        "auto: where one model answers and a conversation does not fit, its old turns are "
        "shortened by the fast model; a request's own `compression` goes before it.",
    )
    contradiction_judge: bool = setting(
        "INFERENCE_CONTRADICTION_JUDGE", False, kinds.BOOLEAN,
        "Have the fast model judge whether a step's text contradicts what was decided before it; "
        "one that does is put aside. Each judgement is a step of its own.",
    )
    pipeline_stages: tuple[str, ...] = setting(
        "INFERENCE_PIPELINE_STAGES", ("draft", "refine", "validate"), kinds.stages(),
        "Stages of a pipeline, in their order.",
    )
