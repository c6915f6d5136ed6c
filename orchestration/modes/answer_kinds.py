"""Kinds of answer: what in a text is the answer, in a form in which two of them can be equal. Pure.

Several texts are of one kind: all numbers, all letters of a choice, all JSON, all short; else they
are texts, and only who reads them can say whether they say the same.
"""

from __future__ import annotations

import enum
import json
import re
import unicodedata
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction

#: Words of a text that is compared word by word.
SHORT_WORDS = 4
#: Characters at the end of a text in which its final answer is looked for.
_TAIL = 400
#: Characters at the beginning of a text that show in most cases that it is another one.
_HEAD = 1000
_NUMBER = r"[-+\u2212]?\d{1,30}(?:,\d{3})*(?:\.\d{1,30})?(?:[eE][-+]?\d{1,2}|/\d{1,15})?"
#: A number with a currency before it, or a unit of two words at most after it.
_QUANTITY = re.compile(rf"[$\u20ac\u00a3]?\s?({_NUMBER})\s?(%|(?:[^\W\d]+\.?(?:\s[^\W\d]+\.?)?)?)")
_CHOICE = re.compile(
    r"(?:[Oo]ption |[Cc]hoice )?\(?([A-H])(?:\)|\.|:)?(?P<rest>(?<=[).:])\s.*)?", re.S
)
#: What stands before a final answer, the surest sign first.
_MARKS = (
    re.compile(r"\\boxed\{([^{}]+)\}"),
    re.compile(r"####\s*([^\n]+)"),
    re.compile(r"\b(?:final |correct )?answer(?: is)?\s?:\s?([^\n]+)", re.I),
    re.compile(r"\b(?:final |correct )?answer is\s([^\n]+)", re.I),
)
#: A short sentence that says a number: `2 + 2 = 4`, `It is 4 km.`
_SAYS = re.compile(r"(?:=|\bequals|\bis|\bare)\s?([^=]+)", re.I)
_LEAD_IN = re.compile(r"(?:it is|it's|that is|that's|this is)\s", re.I)
_ARTICLE = re.compile(r"(?:the|an|a)\s")
_FENCE = re.compile(r"```[a-z]*\n(.*)\n?```", re.S)


class Kind(enum.StrEnum):
    """What answers are compared as."""

    JSON = "json"
    NUMBER = "number"
    CHOICE = "choice"
    SHORT = "short"
    TEXT = "text"


def read(texts: Sequence[str]) -> tuple[Kind, list[Hashable]]:
    """The kind that these texts share, and each one's value; texts with equal values are equal."""
    readers: tuple[tuple[Kind, Callable[[str], Hashable | None]], ...] = (
        (Kind.JSON, _json),
        (Kind.CHOICE, _choice),
        (Kind.NUMBER, _quantity),
        (Kind.SHORT, _short),
    )
    for kind, reader in readers:
        values = [reader(text) for text in texts]
        readable = [value for value in values if value is not None]
        if len(readable) == len(texts):
            return kind, _without_unit(readable) if kind is Kind.NUMBER else readable
    heads = [plain(text[:_HEAD]) for text in texts]
    if len(set(heads)) == len(heads):
        return Kind.TEXT, list(heads)
    return Kind.TEXT, [plain(text) for text in texts]


def plain(text: str) -> str:
    """A text without what does not change its meaning: case, spaces, marks of emphasis."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = text.replace("\u2019", "'").replace("*", "").replace("`", "")
    return " ".join(text.split()).strip("\"' .!")


def final(text: str) -> str:
    """The part of a text that it calls its answer; the whole text where it calls none so."""
    tail = text[-_TAIL:]
    for mark in _MARKS:
        if marked := mark.findall(tail):
            return _bare(marked[-1])
    return _bare(text)


def _bare(text: str) -> str:
    return text.strip().strip("*_`\"' ").rstrip(".!").strip("*_`\"' ")


def _json(text: str) -> str | None:
    text = text.strip()
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1]
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text, parse_float=_number, parse_int=_number)
    except (ValueError, RecursionError):
        return None
    return json.dumps(value, sort_keys=True)


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _choice(text: str) -> str | None:
    answer = final(text)
    match = _CHOICE.fullmatch(answer)
    if match is None or (match["rest"] and len(answer) > _TAIL):
        return None
    return match[1]


def _quantity(text: str) -> tuple[Fraction, str] | None:
    answer = final(text)
    if len(answer) > _TAIL:
        return None
    match = _QUANTITY.fullmatch(answer)
    if match is None and len(answer.split()) <= 3 * SHORT_WORDS and (says := _SAYS.findall(answer)):
        match = _QUANTITY.fullmatch(_bare(says[-1]))
    if match is None:
        return None
    digits = match[1].replace(",", "").replace("\u2212", "-")
    try:
        value = Fraction(digits)
    except (ValueError, ZeroDivisionError):
        return None
    return value, match[2].casefold().rstrip(".").removesuffix("s")


def _without_unit(values: Sequence[Hashable]) -> list[Hashable]:
    """Numbers alone, where they have no two different units."""
    units = {value[1] for value in values if isinstance(value, tuple) and value[1]}
    if len(units) > 1:
        return list(values)
    return [value[0] if isinstance(value, tuple) else value for value in values]


def _short(text: str) -> str | None:
    answer = final(text)
    if len(answer) > _TAIL or "\n" in answer:
        return None
    answer = _ARTICLE.sub("", plain(_LEAD_IN.sub("", answer, count=1)), count=1)
    return answer if answer and len(answer.split()) <= SHORT_WORDS else None
