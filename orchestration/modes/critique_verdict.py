"""Critiques: the form in which a critic says what it found, and whether that can be used. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from orchestration.modes import fallbacks
from orchestration.modes.rounds import FinishedStep

NO_CHANGE, REVISE = "no change", "revise"
_TEXT = {"type": "string", "maxLength": 160}
#: What a critic's text must parse as.
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
        "decisions": {"type": "array", "maxItems": 4, "items": _TEXT},
    },
    "required": ["verdict", "score", "defects", "contradictions"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class CritiqueVerdict:
    """What a critic found, in a form that can be used."""

    verdict: str
    #: 0 to 1.
    score: float
    #: Each with its `problem`, and the `quote` that shows it.
    defects: tuple[dict[str, str], ...]
    contradictions: tuple[str, ...]
    #: What the answer settles and is right; a critic need not say it.
    decisions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> CritiqueVerdict:
        """What a critique says.

        Raises:
            ValueError: it is no JSON of the schema, or its score is no number from 0 to 1; says so.
        """
        try:
            data = json.loads(text, strict=False)
            score = float(data["score"])
            defects = tuple(
                {"problem": str(entry["problem"]).strip(), "quote": str(entry["quote"]).strip()}
                for entry in data["defects"]
            )
            verdict, contradictions = str(data["verdict"]), tuple(map(str, data["contradictions"]))
            decisions = tuple(map(str, data["decisions"])) if "decisions" in data else ()
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError("it has not the form that was asked for") from error
        if not 0 <= score <= 1:
            raise ValueError(f"its score {score:g} is not from 0 to 1")
        if verdict not in (NO_CHANGE, REVISE):
            raise ValueError(f"its verdict {verdict[:40]!r} is none")
        defects = tuple(defect for defect in defects if defect["problem"])
        return cls(verdict, score, defects, _said(contradictions), _said(decisions))


def _said(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for text in texts if text.strip())


def read(done: FinishedStep) -> CritiqueVerdict | str:
    """What a critique says, or why that cannot be used."""
    if not done.usable:
        return fallbacks.reason(done).message
    if done.outcome.finish_reason == "length":
        return "it was cut off"
    try:
        return CritiqueVerdict.parse(done.text)
    except ValueError as error:
        return str(error)
