"""Extraction: what a text settles, as the fast model reads it, by schema. Pure.

A text that is short is not read: it stands whole in the next step's prompt, and says itself what it
settles. What a reader invents is dropped: a quote has to stand in the text, and so has every number
of a decision, there or in the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestration.context import facts, reading_steps
from orchestration.context.reading_steps import Unreadable
from orchestration.handoff import Settled
from orchestration.modes.rounds import EXTRACTOR, FinishedStep, Step
from orchestration.prompts.readers import EXTRACT
from orchestration.prompts.rendering import Prompts
from workers.contract.job import Job

#: Characters of a text that needs no reading: its decisions would take as many.
SHORT = 600
#: Entries of a list, and characters of an entry.
MOST, LONGEST = 6, 200
_LISTS = ("decisions", "constraints", "evidence", "open_questions")
_ENTRIES = {"type": "array", "maxItems": MOST, "items": {"type": "string", "maxLength": LONGEST}}
#: What a reader's text must parse as.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": dict.fromkeys(_LISTS, _ENTRIES),
    "required": list(_LISTS),
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Extract:
    """What was read in a text."""

    settled: Settled
    #: Entries that stand on nothing in the text, and were dropped.
    invented: tuple[str, ...] = ()

    def findings(self) -> dict[str, Any]:
        """For those who watch."""
        lists = {**self.settled.lists(), "invented": self.invented}
        return {name: list(entries) for name, entries in lists.items() if entries}


def needed(source: FinishedStep) -> bool:
    """Whether a text is so long that its decisions have to be read out of it."""
    return source.usable and len(source.text.strip()) > SHORT


def step(prompts: Prompts, job: Job, source: FinishedStep) -> Step:
    """The step that reads a text."""
    return reading_steps.step(prompts, job, EXTRACTOR, source, EXTRACT, SCHEMA)


def read(done: FinishedStep, source: FinishedStep, request: str) -> Extract:
    """What a reader found in `source`.

    Raises:
        Unreadable: that cannot be used.
    """
    data = reading_steps.said(done)
    try:
        lists = {name: _entries(data[name]) for name in _LISTS}
    except (KeyError, TypeError) as error:
        raise Unreadable from error
    return _checked(lists, source.text, request)


def _entries(found: Any) -> tuple[str, ...]:
    """The texts of a list, each once.

    Raises:
        Unreadable: it is no list of texts, or a longer one than the schema allows.
    """
    if not isinstance(found, list) or len(found) > MOST:
        raise Unreadable
    if not all(isinstance(entry, str) and len(entry) <= LONGEST for entry in found):
        raise Unreadable
    texts = (" ".join(entry.split()) for entry in found)
    return tuple(dict.fromkeys(text for text in texts if text))


def _checked(lists: dict[str, tuple[str, ...]], text: str, request: str) -> Extract:
    plain = " ".join(text.split())
    known = facts.numbers(text, request)
    invented = [quote for quote in lists["evidence"] if quote.strip("\"'") not in plain]
    for name in ("decisions", "constraints", "open_questions"):
        invented += [entry for entry in lists[name] if not facts.numbers(entry) <= known]
    kept = {
        name: tuple(entry for entry in entries if entry not in invented)
        for name, entries in lists.items()
    }
    settled = Settled(
        kept["decisions"], kept["constraints"], kept["evidence"], kept["open_questions"]
    )
    return Extract(settled, tuple(invented))
