"""The modes there are. A new one is a module here, a line in this table, and its cast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestration.modes.base import Mode
from orchestration.modes.critique import Critique
from orchestration.modes.debate import Debate
from orchestration.modes.ensemble import Ensemble
from orchestration.modes.pipeline import Pipeline
from orchestration.modes.single import Single
from orchestration.prompts import Prompts

#: Names of the modes, for those who only ask which there are.
MODES = ("single", "critique", "debate", "ensemble", "pipeline")


def load(own: Path | None) -> Mapping[str, Mode]:
    """Every mode by its name; `own` may have templates of an operator's own.

    Raises:
        PromptError: a template cannot be used.
    """
    templates = Prompts(own)
    return {
        "single": Single(),
        "critique": Critique(templates),
        "debate": Debate(templates),
        "ensemble": Ensemble(templates),
        "pipeline": Pipeline(templates),
    }
