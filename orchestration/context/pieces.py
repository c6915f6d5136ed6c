"""Pieces of a text that is longer than the window of the model which is to shorten it. Pure."""

from __future__ import annotations


def pieces(text: str, count: int) -> list[str]:
    """A text in so many parts of about one length, each ending where a line or a sentence does."""
    parts: list[str] = []
    for left in range(count, 1, -1):
        middle = len(text) // left
        cut = _end(text, middle)
        parts.append(text[:cut].strip())
        text = text[cut:]
    return [part for part in (*parts, text.strip()) if part]


def _end(text: str, middle: int) -> int:
    """Where a line, a sentence or a word ends before `middle`; there, if none does nearby."""
    nearby = max(0, middle - middle // 4)
    for mark in ("\n", ". ", " "):
        at = text.rfind(mark, nearby, middle)
        if at > 0:
            return at + len(mark)
    return middle
