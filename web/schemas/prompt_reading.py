"""From a body's fields to the prompts that a job keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.schemas.prompts import TextOrIds
from web.schemas.refusals import invalid
from workers.contract.job import MOST_CHOICES_OF_PROMPTS
from workers.contract.prompt import ContextFile, Prompt


def of_text(data: Mapping[str, Any]) -> tuple[tuple[Prompt, ...], int]:
    """The prompts of a text completion, and how many answers there are of all of them.

    Raises:
        ValidationFailed: they are too many, or a suffix stands after token ids.
    """
    given: tuple[TextOrIds, ...] = data["prompt"]
    of_each = data.get("n") or 1
    if (data.get("best_of") or of_each) != of_each:
        raise invalid("best_of", "must equal n: every answer is given, none is picked")
    if len(given) * of_each > MOST_CHOICES_OF_PROMPTS:
        raise invalid(
            "n" if of_each > 1 else "prompt",
            f"asks for {len(given) * of_each} answers, {of_each} of each prompt; there are "
            f"{MOST_CHOICES_OF_PROMPTS} at most",
        )
    if data.get("echo") and data.get("logprobs") is not None:
        raise invalid("logprobs", "does not go with echo: it tells of the answer's tokens alone")
    suffix = data.get("suffix") or None
    if suffix is not None and not all(isinstance(prompt, str) for prompt in given):
        raise invalid("suffix", "goes only with a prompt that is text")
    return tuple(_prompt(prompt, data, suffix) for prompt in given), len(given) * of_each


def of_infill(data: Mapping[str, Any]) -> Prompt:
    """The gap that is to be filled."""
    return Prompt(
        text=data.get("input_prefix") or "",
        suffix=data.get("input_suffix") or "",
        middle=data.get("prompt") or "",
        files=tuple(
            ContextFile(file.get("filename") or "file", file["text"])
            for file in data.get("input_extra") or ()
        ),
        may_be_cut=True,
    )


def _prompt(prompt: TextOrIds, data: Mapping[str, Any], suffix: str | None) -> Prompt:
    return Prompt(
        text=prompt if isinstance(prompt, str) else "",
        token_ids=None if isinstance(prompt, str) else prompt,
        parse_special=data.get("parse_special") is not False,
        echo=bool(data.get("echo")),
        suffix=suffix,
    )
