"""Parameters that a schema does not have: refused, ignored with a note, or misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from web.schemas.refusals import excerpt, header_safe
from workers.contract.errors import UnsupportedParameter, ValidationFailed

#: More unknown names mean a mistake, and each costs a search for the nearest known one.
_MOST_UNKNOWN = 50


def _set(value: Any) -> bool:
    return value not in (None, False, 0, "", [], {})


#: Parameters of the OpenAI API that would change the answer and are not there yet: name -> whether
#: this value asks for anything.
UNSUPPORTED: dict[str, Callable[[Any], bool]] = {
    "n": lambda value: value is True or value not in (None, 1),
    "tools": _set,
    "tool_choice": lambda value: value not in (None, "none", "auto"),
    "functions": _set,
    "function_call": lambda value: value not in (None, "none", "auto"),
    "logprobs": _set,
    "top_logprobs": _set,
    "logit_bias": _set,
    "audio": _set,
    "modalities": lambda value: value not in (None, ["text"]),
    "prediction": _set,
    "web_search_options": lambda value: value is not None,
    "guided_whitespace_pattern": _set,
    "structural_tag": _set,
}
#: Parameters of a job alone.
_OF_JOBS = frozenset({"webhook", "deadline_s"})

#: Parameters of the OpenAI API and of other servers that change nothing about the answer here.
HARMLESS = frozenset(
    {
        "guided_decoding_backend",
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "verbosity",
    }
)


def sort_out(body: Mapping[str, Any], known: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """The parameters a schema knows, and the names of those that are ignored.

    A null counts as absent.

    Raises:
        UnsupportedParameter: one would change the answer, and cannot.
        ValidationFailed: an unknown name is close to one of ours.
    """
    known = frozenset(known)
    kept: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value in body.items():
        if name in known:
            if value is not None:
                kept[name] = value
        elif name in _OF_JOBS and value is not None:
            raise UnsupportedParameter(
                f"{name!r} goes only with POST /v1/jobs.", details={"param": name}
            )
        elif name in UNSUPPORTED:
            if UNSUPPORTED[name](value):
                raise UnsupportedParameter(
                    f"{name!r} is not supported yet; leave it out.", details={"param": name}
                )
        elif value is not None:
            if name not in HARMLESS:
                _refuse_misspelt(name, known)
            ignored.append(header_safe(name))
            if len(ignored) > _MOST_UNKNOWN:
                raise ValidationFailed(
                    f"The body has more than {_MOST_UNKNOWN} unknown parameters.",
                    details={"param": header_safe(name)},
                )
    return kept, ignored


def _refuse_misspelt(name: str, known: frozenset[str]) -> None:
    near = difflib.get_close_matches(excerpt(name), known, n=1, cutoff=0.8)
    if near:
        raise ValidationFailed(
            f"{header_safe(name)!r} is unknown; did you mean {near[0]!r}?",
            details={"param": header_safe(name), "suggestion": near[0]},
        )
