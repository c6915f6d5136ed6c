"""How a field is refused: which one, why, and only so much of what was sent."""

from __future__ import annotations

from workers.contract.errors import ValidationFailed

#: Characters of a caller's text that an error or a header quotes at most.
LONGEST_EXCERPT = 100


def invalid(param: str, problem: str) -> ValidationFailed:
    """The error for a field that is missing or wrong; `problem` goes on from its name."""
    return ValidationFailed(f"{param} {problem}.", details={"param": param})


def excerpt(text: str) -> str:
    """The beginning of a text that a caller sent, for a message or an error's details."""
    return text[:LONGEST_EXCERPT]


def header_safe(name: str) -> str:
    """A name that can stand in a header: printable ASCII, no comma or quote, not endless."""
    safe = (c if c.isascii() and c.isprintable() and c not in ',"\\' else "?" for c in name)
    return excerpt("".join(safe))
