"""Scoring: what a text answers, and whether that is right. Pure; nothing here asks a model.

What a text answers is found without a look at the right answer, so that texts can be voted on.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from web.evaluate.tasks import Task

_NUMBER = r"[-\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|[-\u2212]?\.\d+"
_ANY_NUMBER = re.compile(rf"(?P<number>{_NUMBER})")
_EQUALS = re.compile(rf"=\s*(?P<number>{_NUMBER})")
#: What stands before a final answer; `####` is how GSM8K's solutions mark theirs.
_MARK = re.compile(r"####|\banswer\b\s*(?:is\b)?\s*[:=]?|\bboxed\b", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`$\\{}]")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
#: Two numbers are the same where they differ by no more than this part of the right one.
_TOLERANCE = Decimal("1e-6")


def answer_of(task: Task, text: str) -> str | None:
    """What the text answers, in one spelling; None where it answers nothing of the task's kind.

    `number`: the number after the last "answer is" or `####`, else after the last `=`, else the
    last one. `choice`: the choice after such a mark, else at the beginning, else the last.
    `json`: the last value in the text. `exact`, `contains`: the text, without case, punctuation
    and articles.
    """
    return _READERS[task.kind](task, text)


def is_right(task: Task, answer: str | None) -> bool:
    """Whether this, as `answer_of` gives it, is the task's answer.

    `exact` compares whole texts, `contains` looks for the right one among the words.
    """
    if answer is None:
        return False
    match task.kind:
        case "number":
            right = Decimal(str(task.answer))
            return abs(Decimal(answer) - right) <= abs(right) * _TOLERANCE
        case "choice":
            return answer == str(task.answer).casefold()
        case "json":
            return answer == _canonical(task.answer)
    rights = [_plain(text) for text in _texts(task.answer)]
    if task.kind == "exact":
        return answer in rights
    return any(f" {right} " in f" {answer} " for right in rights)


def _number(_task: Task, text: str) -> str | None:
    text = _MARKUP.sub(" ", text)
    marked = _ANY_NUMBER.search(_after_mark(text) or "")
    match = marked or _last(_EQUALS, text) or _last(_ANY_NUMBER, text)
    if match is None:
        return None
    try:
        value = Decimal(match["number"].replace(",", "").replace("\u2212", "-"))
    except InvalidOperation:
        return None
    return f"{value.normalize():f}" if value else "0"


def _choice(task: Task, text: str) -> str | None:
    text = _MARKUP.sub(" ", text)
    # Longer ones first: "not sure" before "not". A letter stands alone; the article "A" and the
    # pronoun "I" are followed by a word.
    names = sorted(task.choices, key=len, reverse=True)
    named = "|".join(re.escape(name) for name in names)
    letters = all(len(name) == 1 for name in task.choices)
    ends = r"(?=\s*(?:[).:,;!?\]\n]|$))" if letters else r"(?!\w)"
    pattern = re.compile(rf"(?<!\w)\(?({named}){ends}", 0 if letters else re.IGNORECASE)
    marked = _after_mark(text)
    if marked is not None and (match := pattern.search(marked)):
        return match[1].casefold()
    if match := pattern.match(text.strip()):
        return match[1].casefold()
    every = pattern.findall(text)
    return str(every[-1]).casefold() if every else None


def _text(_task: Task, text: str) -> str | None:
    return _plain(text) or None


def _json(_task: Task, text: str) -> str | None:
    values = list(_values(text))
    return _canonical(values[-1]) if values else None


_READERS: dict[str, Callable[[Task, str], str | None]] = {
    "number": _number,
    "choice": _choice,
    "exact": _text,
    "contains": _text,
    "json": _json,
}


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(reversed(list(pattern.finditer(text)))), None)


def _after_mark(text: str) -> str | None:
    marks = list(_MARK.finditer(text))
    return text[marks[-1].end() :] if marks else None


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text)
    return " ".join(_ARTICLES.sub(" ", text).split())


def _texts(answer: Any) -> list[str]:
    return [answer] if isinstance(answer, str) else list(answer)


def _values(text: str) -> Iterator[Any]:
    """Objects and lists in a text; where there is none, the whole of it if it is JSON."""
    decoder, at, any_value = json.JSONDecoder(), 0, False
    while match := re.search(r"[{\[]", text[at:]):
        start = at + match.start()
        try:
            value, at = decoder.raw_decode(text, start)
        except ValueError:
            at = start + 1
            continue
        any_value = True
        yield value
    if not any_value:
        try:
            yield json.loads(text)
        except ValueError:
            return


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
