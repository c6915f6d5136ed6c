"""Facts: what of a text must not be lost when it is shortened, word for word. Pure."""

from __future__ import annotations

import re

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
#: A number with what belongs to it: a date, a time, a version, an IP address, a sum.
NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_FACTS = (
    # dates in words
    re.compile(rf"\d{{1,2}}(?:st|nd|rd|th)? {_MONTH}(?: \d{{4}})?"),
    re.compile(rf"{_MONTH} \d{{1,2}}(?:, \d{{4}})?"),
    NUMBER,
    # addresses of the web, of mail and of files
    re.compile(r"https?://[^\s\"'<>)\]]*[^\s\"'<>)\].,;:]"),
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    re.compile(r"(?<![\w/])~?(?:/[\w.-]*[\w-])+"),
    # what is quoted
    re.compile(r"\"([^\"\n]{1,200})\""),
    re.compile(r"\u201c([^\u201d\n]{1,200})\u201d"),
    re.compile(r"`([^`\n]{1,200})`"),
    # identifiers: with an underscore, a hump, a digit or capitals alone
    re.compile(r"\b[A-Za-z]\w*_\w+\b"),
    re.compile(r"\b[a-z]+(?:[A-Z][a-z0-9]+)+\b"),
    re.compile(r"\b[A-Za-z]+-?\d[\w-]*\b"),
    re.compile(r"\b[A-Z][A-Z0-9]+\b"),
)


def facts(*texts: str) -> frozenset[str]:
    """Numbers, dates, addresses, quoted strings and identifiers that stand in these texts."""
    found: set[str] = set()
    for text in texts:
        for kind in _FACTS:
            found.update(kind.findall(text))
    return frozenset(found)


def numbers(*texts: str) -> frozenset[str]:
    """The numbers that stand in these texts."""
    return frozenset(number for text in texts for number in NUMBER.findall(text))


def stands(fact: str, text: str) -> bool:
    """Whether a fact stands in a text word for word, and not as a part of another one."""
    begin = r"(?<!\w)" if fact[:1].isalnum() else ""
    end = r"(?!\w)" if fact[-1:].isalnum() else ""
    return re.search(f"{begin}{re.escape(fact)}{end}", text) is not None
