"""Parameters that a schema does not have: refused, ignored with a note, or misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from web.schemas.parameters import TABLE, Parameter
from web.schemas.refusals import excerpt, header_safe
from workers.contract.errors import UnsupportedParameter, ValidationFailed

#: More unknown names mean a mistake, and each costs a search for the nearest known one.
_MOST_UNKNOWN = 50
#: Parameters of a job alone.
_OF_JOBS = frozenset({"webhook", "deadline_s"})


def sort_out(
    body: Mapping[str, Any],
    known: Iterable[str],
    harmless: frozenset[str] = frozenset(),
    *,
    table: Mapping[str, Parameter] = TABLE,
) -> tuple[dict[str, Any], list[str]]:
    """The parameters a schema knows, and the names of those that are ignored.

    `harmless` are ignored whatever the table says of them; `table` has the names of others. A null
    counts as absent.

    Raises:
        UnsupportedParameter: one would change the answer, and cannot.
        ValidationFailed: a name that nobody knows is close to one of ours, or there are too many.
    """
    known = frozenset(known)
    kept: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value in body.items():
        if value is None:
            continue
        if name in known:
            kept[name] = value
        elif name in harmless or _is_ignored(name, value, known, table):
            ignored.append(header_safe(name))
            if len(ignored) > _MOST_UNKNOWN:
                raise ValidationFailed(
                    f"The body has more than {_MOST_UNKNOWN} unknown parameters.",
                    details={"param": header_safe(name)},
                )
    return kept, ignored


def _is_ignored(
    name: str, value: Any, known: frozenset[str], table: Mapping[str, Parameter]
) -> bool:
    """Whether the caller is to learn that this changed nothing; False where it asks for nothing."""
    if name in _OF_JOBS:
        raise UnsupportedParameter(
            f"{name!r} goes only with POST /v1/jobs.", details={"param": name}
        )
    parameter = table.get(name)
    if parameter is None:
        _refuse_misspelt(name, known)
        return True
    if not parameter.asks(value):
        return False
    if parameter.refused:
        raise UnsupportedParameter(
            f"{name!r} is not supported: {parameter.reason}.",
            details={"param": name, "known_from": list(parameter.servers)},
        )
    return True


def _refuse_misspelt(name: str, known: frozenset[str]) -> None:
    near = difflib.get_close_matches(excerpt(name), known, n=1, cutoff=0.8)
    if near:
        raise ValidationFailed(
            f"{header_safe(name)!r} is unknown; did you mean {near[0]!r}?",
            details={"param": header_safe(name), "suggestion": near[0]},
        )
