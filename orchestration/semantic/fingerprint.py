"""What a question asks, word by word: two that differ in it are never answered alike. Pure.

Vectors say that two questions sound alike; they hardly hear a number, a name or a "not". So a hit
needs the same words of weight in the same order: numbers, units, names, negations, whatever is no
mere form of asking. What is quoted, code, and all after the first line have to be the same to the
letter. A light word that is written as a name is one: "vitamin A", "Al Gore", "World War I".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestration.semantic.vocabulary import LIGHT, SAME

#: Text that stands for itself: code and quotations, each in its marks.
_VERBATIM = re.compile(
    r"```.*?```|`[^`]*`|\"[^\"]*\"|\u201c[^\u201d]*\u201d|\u201e[^\u201c\u201d]*[\u201c\u201d]"
    r"|\u00ab[^\u00bb]*\u00bb|\u2018[^\u2019]*\u2019"
    r"|(?<![\w'])'[^'\s](?:[^']*[^'\s])?'(?!\w)",
    re.DOTALL,
)
#: What stands around a word and belongs to the sentence.
_PUNCTUATION = (
    ".,;:!?\u00bf\u00a1()\u2026-\u2013\u2014\"'`\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019"
)
#: A sentence may begin after it.
_ENDS = (".", "!", "?", ":")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
#: Signs of code in a word: an operator, a dot or bracket within, a capital after a small letter.
_CODE = re.compile(r"[_{}\[\]<>=+*/\\|&^%$#@~€£¥§°]|\w[.:(]+\w|\w\(|[a-z][A-Z]|^[-.:]+\w")
_NEGATED = re.compile(r"(\w+)n['\u2019]t\Z")
_OWNED = re.compile(r"['\u2019]s?\Z")
_WORD = re.compile(r"[\w'\u2019]+")


def fingerprint(question: str) -> tuple[str, ...]:
    """The words of a question that carry its meaning, in their order; empty where it has none."""
    first, *rest = question.strip().split("\n", 1)
    return (*_of_line(first), *(f"verbatim {each.strip()}" for each in rest))


def plain_words(text: str) -> list[str]:
    """Every word of a text in small letters, without what is quoted."""
    words = _WORD.findall(_VERBATIM.sub(" ", text).casefold())
    return [word.replace("\u2019", "'") for word in words]


def _of_line(line: str) -> Iterator[str]:
    end = 0
    for verbatim in _VERBATIM.finditer(line):
        yield from _of_text(line[end : verbatim.start()], begins=not end)
        yield f"verbatim {verbatim[0][1:-1]}"
        end = verbatim.end()
    yield from _of_text(line[end:], begins=not end)


def _of_text(text: str, *, begins: bool) -> Iterator[str]:
    """`begins`: a sentence begins with its first word, whose capital says nothing."""
    after_name = False
    for token in text.split():
        bare = token.strip(_PUNCTUATION)
        if _NUMBER.fullmatch(signed := token.strip(_PUNCTUATION.replace("-", ""))):
            yield _THOUSANDS.sub("", signed)
        elif _CODE.search(token.rstrip(".,;:!?…")):
            yield f"verbatim {token.rstrip('.,;:!?…')}"
        elif bare.casefold() in LIGHT and _is_name(bare, begins=begins, after_name=after_name):
            yield bare.casefold()
        elif bare:
            yield from _of_words(bare)
        after_name = bare != "I" and bare[:1].isupper() and not begins
        begins = token.endswith(_ENDS)


def _is_name(word: str, *, begins: bool, after_name: bool) -> bool:
    """Whether a word that asks for nothing is written as a name is; "I" is one after another."""
    return word[0].isupper() and not begins and (word != "I" or after_name)


def _of_words(token: str) -> Iterator[str]:
    """The words of a token, which a hyphen may join; a sign that is no word stands for itself."""
    if token.isupper() and len(token) > 1:  # IT and US are no light words
        yield token.casefold()
        return
    for part in re.split("[-\u2013\u2014]", token.casefold()):
        negated = _NEGATED.match(part)
        if negated or part == "cannot":
            yield from _weighty(negated[1] if negated and negated[1] != "ca" else "can")
            yield "not"
        elif part:
            yield from _weighty(_OWNED.sub("", part))


def _weighty(word: str) -> Iterator[str]:
    if word in LIGHT:
        return
    stem = _singular(SAME.get(word, word))
    yield SAME.get(stem, stem)


def _singular(word: str) -> str:
    """A word without the ending of an English plural, or of a verb's third person."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes")) else word[:-1]
