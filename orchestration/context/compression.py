"""Compression: the fast model shortens a text that is too long for those who go on from it. Pure.

A pass is a round of steps, one for each part of the text where it is longer than the compressor's
own window; what they say is put together. A pass that has not its form, grows, repeats, says
nothing, invents a number or loses what has to be kept has failed, and the text stays as it was.
There are at most three passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestration.context import facts, reading_steps
from orchestration.context.reading_steps import Unreadable
from orchestration.handoff import HandoffState, Settled
from orchestration.modes.rounds import COMPRESSOR, FinishedStep, Step, logical
from orchestration.prompts.compression import COMPRESS
from orchestration.prompts.rendering import Prompts
from workers.contract.job import Job

MOST_PASSES = 3
#: Share of the target that a compressor is asked for: models write more than they are asked for.
MARGIN = 0.9
#: Entries of a list, and characters of an entry.
MOST, LONGEST = 8, 240
#: Words to a token, so that a compressor is told a length that it knows.
_WORDS_PER_TOKEN = 0.7
_SETTLED = ("decisions", "constraints", "evidence", "open_questions")
_LISTS = (*_SETTLED, "errors")
_ENTRIES = {"type": "array", "maxItems": MOST, "items": {"type": "string", "maxLength": LONGEST}}
#: What a compressor's text must parse as.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {**dict.fromkeys(_LISTS, _ENTRIES), "context": {"type": "string"}},
    "required": [*_LISTS, "context"],
    "additionalProperties": False,
}
#: How much hotter each further pass samples: the same again would fail again.
_HOTTER = 0.3
_SENTENCE = re.compile(r"[^.!?\n]+")
#: Share of a text's sentences that are not the same as another one.
_LEAST_DISTINCT = 0.8
#: What stands after a source's name: the number of the pass, of the part, and of all parts.
_NUMBERS = re.compile(r"\d+-\d+-\d+")


@dataclass(frozen=True, slots=True)
class Compressed:
    """What has become of a text after some passes."""

    #: The text as the last pass that did not fail has it; None where all failed.
    text: str | None
    settled: Settled
    errors: tuple[str, ...]
    #: Passes that were made, those that failed among them.
    passes: int
    #: Why the last pass failed; None where it did not.
    problem: str | None

    def findings(self) -> dict[str, Any]:
        """For those who watch."""
        found: dict[str, Any] = {"passes": self.passes, "shortened": self.text is not None}
        return found if self.problem is None else {**found, "problem": self.problem}


def steps(
    prompts: Prompts,
    job: Job,
    source: FinishedStep,
    pieces: Sequence[str],
    *,
    number: int,
    target: int,
    max_tokens: int,
    keep: Sequence[str],
) -> tuple[Step, ...]:
    """The steps of pass `number` over these pieces of a text, to `target` tokens together."""
    words = max(20, int(target * _WORDS_PER_TOKEN / len(pieces)))
    return tuple(
        reading_steps.step(
            prompts,
            job,
            COMPRESSOR,
            source,
            COMPRESS,
            SCHEMA,
            suffix=f"-{number}-{at}-{len(pieces)}",
            max_tokens=max_tokens,
            temperature=_HOTTER * (number - 1),
            reusable=source.round > 0,  # never of a conversation: its old turns are of no round
            text=piece,
            piece=at,
            pieces=len(pieces),
            words=words,
            keep=[fact for fact in keep if facts.stands(fact, piece)],
        )
        for at, piece in enumerate(pieces, start=1)
    )


def to_keep(job: Job, handoff: HandoffState, text: str) -> tuple[str, ...]:
    """What of system message, constraints and decisions stands in a text, and must go on to."""
    system = [turn.content or "" for turn in job.messages if turn.role == "system"]
    told = facts.facts(*system, *handoff.constraints, *handoff.decisions_made)
    there = {fact for fact in told if facts.stands(fact, text)}
    # A date says its day and its year: what is a part of another fact is not named beside it.
    parts = {part for fact in there for part in facts.facts(fact) if part != fact}
    return tuple(sorted(there - parts))


def read(
    job: Job, source: FinishedStep, readers: Sequence[FinishedStep], handoff: HandoffState
) -> Compressed | None:
    """What these readers have made of a text; None where nobody was asked to shorten it.

    `handoff` is the state before the text.
    """
    made = Compressed(None, Settled(), (), 0, None)
    kept: dict[str, tuple[str, ...]] = dict.fromkeys(_LISTS, ())
    for pieces in _passes(source, readers):
        before = made.text or source.text
        made = replace(made, passes=made.passes + 1, problem=None)
        try:
            lists = _lists([reading_steps.said(done) for done in pieces])
            lists = _without_bare(lists, to_keep(job, handoff, before))
            text = "\n".join(lists["context"])
            _check(text, lists, before, job, handoff)
        except Unreadable as error:
            made = replace(made, problem=str(error))
            continue
        if any(len(lists[name]) > MOST for name in _LISTS):
            # Of many parts: they are put together, to be shortened with the rest of the text.
            text = "\n".join([text, *(entry for name in _LISTS for entry in lists[name])])
        else:  # what an earlier pass took out of the text is not in this one's
            kept = {name: tuple(dict.fromkeys((*kept[name], *lists[name]))) for name in _LISTS}
        settled = Settled(*(kept[name] for name in _SETTLED))
        made = replace(made, text=text, settled=settled, errors=kept["errors"])
    return made if made.passes else None


def _passes(source: FinishedStep, readers: Sequence[FinishedStep]) -> Iterator[list[FinishedStep]]:
    """The steps of each pass over a text, in their order; the last try of each."""
    base = f"{reading_steps.name(COMPRESSOR, source)}-"
    made: dict[str, dict[str, FinishedStep]] = {}
    for done in readers:
        name = logical(done.step.name)
        if name.startswith(base) and _NUMBERS.fullmatch(name.removeprefix(base)):
            number = name.removeprefix(base).partition("-")[0]
            made.setdefault(number, {})[name] = done
    for _, steps_ in sorted(made.items()):
        yield list(steps_.values())


def _lists(said: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """What compressors said of the parts of a text, together.

    Raises:
        Unreadable: one has not the form of the schema.
    """
    together: dict[str, tuple[str, ...]] = {}
    for data in said:
        try:
            entries = {name: tuple(data[name]) for name in _LISTS} | {"context": (data["context"],)}
        except (KeyError, TypeError) as error:
            raise Unreadable from error
        for name, texts in entries.items():
            if len(texts) > MOST or not all(isinstance(text, str) for text in texts):
                raise Unreadable
            if name != "context" and any(len(text) > LONGEST for text in texts):
                raise Unreadable
            said_so_far = together.get(name, ())
            fresh = (text.strip() for text in texts if text.strip())
            together[name] = tuple(dict.fromkeys((*said_so_far, *fresh)))
    return together


def _without_bare(
    lists: Mapping[str, tuple[str, ...]], keep: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """What compressors said, less entries that are a fact and no sentence; references may be.

    Raises:
        Unreadable: the text is nothing else. A weak model writes what it is to keep, and no more.
    """
    if all(_is_bare(text, keep) for text in lists["context"]) and any(lists["context"]):
        raise Unreadable("it says nothing beside what it was to keep")
    return {
        name: entries
        if name in ("context", "evidence")
        else tuple(entry for entry in entries if not _is_bare(entry, keep))
        for name, entries in lists.items()
    }


def _is_bare(text: str, keep: Sequence[str]) -> bool:
    for fact in keep:
        text = text.replace(fact, " ")
    return not any(letter.isalpha() for letter in text)


def _check(
    context: str, lists: Mapping[str, tuple[str, ...]], text: str, job: Job, handoff: HandoffState
) -> None:
    """Refuse what is no shorter text of the same content.

    Raises:
        Unreadable: says why.
    """
    if not context:
        raise Unreadable("it is empty")
    if len(context) >= len(text):
        raise Unreadable("it is no shorter")
    sentences = [" ".join(each.split()).casefold() for each in _SENTENCE.findall(context)]
    sentences = [each for each in sentences if each]
    if len(set(sentences)) < _LEAST_DISTINCT * len(sentences):
        raise Unreadable("it repeats itself")
    said = "\n".join([context, *(entry for name in _LISTS for entry in lists[name])])
    known = facts.numbers(text, handoff.goal, reading_steps.request(job))
    if invented := sorted(facts.numbers(said) - known):
        raise Unreadable(f"it invents {', '.join(invented[:3])}")
    if lost := [fact for fact in to_keep(job, handoff, text) if not facts.stands(fact, said)]:
        raise Unreadable(f"it loses {', '.join(lost[:3])}")
