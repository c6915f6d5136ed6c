"""Settings of orchestration: how several models answer one request."""

from __future__ import annotations

from dataclasses import dataclass

from workers.settings import kinds
from workers.settings.variable import setting

_DEBATE = "orchestration by debate and ensemble"
MODES = ("single", "critique", "debate", "ensemble", "pipeline")


@dataclass(frozen=True, kw_only=True)
class Orchestration:
    """The modes and their bounds."""

    orchestration_mode: str | None = setting(
        "INFERENCE_ORCHESTRATION_MODE", None, kinds.choice(*MODES),
        "Mode of a request that names none.",
        unset="the preset's, or single",
    )  # fmt: skip
    critique_max_rounds: int = setting(
        "INFERENCE_CRITIQUE_MAX_ROUNDS", 2, kinds.integer(1, 10),
        "Rounds of one critique and one revision at most.",
    )  # fmt: skip
    critique_threshold: float = setting(
        "INFERENCE_CRITIQUE_THRESHOLD", 0.8, kinds.number(0, 1),
        "The critic's score at which an answer is good enough.",
    )  # fmt: skip
    debate_max_rounds: int = setting(
        "INFERENCE_DEBATE_MAX_ROUNDS", 3, kinds.integer(1, 10),
        "Rounds of a debate at most.",
        used_from=_DEBATE,
    )  # fmt: skip
    debate_reconcile_model: str = setting(
        "INFERENCE_DEBATE_RECONCILE_MODEL", "primary", kinds.NAME,
        "The role or the model that writes a debate's answer.",
        used_from=_DEBATE,
    )  # fmt: skip
    ensemble_min_agreement: float = setting(
        "INFERENCE_ENSEMBLE_MIN_AGREEMENT", 0.7, kinds.number(0, 1),
        "Agreement below which an ensemble dissents.",
        used_from=_DEBATE,
    )  # fmt: skip
    ensemble_on_dissent: str = setting(
        "INFERENCE_ENSEMBLE_ON_DISSENT", "answer", kinds.choice("answer", "fail"),
        "What a dissenting ensemble does: answer and say so, or fail with ORCHESTRATION_FAILED.",
        used_from=_DEBATE,
    )  # fmt: skip
    ensemble_synthesis_model: str = setting(
        "INFERENCE_ENSEMBLE_SYNTHESIS_MODEL", "primary", kinds.NAME,
        "The role or the model that writes an ensemble's answer.",
        used_from=_DEBATE,
    )  # fmt: skip
    pipeline_stages: tuple[str, ...] = setting(
        "INFERENCE_PIPELINE_STAGES", ("draft", "refine", "validate"), kinds.stages(),
        "Stages of a pipeline, in their order.",
    )  # fmt: skip
