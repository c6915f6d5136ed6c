"""Drafts: whether the next tokens of answers are guessed, as settings and a model's options say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from presets.wrong_option import WrongOption

#: Guessed from the prompt, the answer and what the caller predicts; or not at all.
LOOKUP, OFF = "lookup", "off"
#: What `INFERENCE_DRAFTS` and `drafts` in a model's options may be.
KINDS = (LOOKUP, OFF)


def of(options: Mapping[str, Any], default: str) -> str:
    """What a model's options ask for; else the default.

    Raises:
        WrongOption: it is none of `KINDS`.
    """
    kind = options.get("drafts", default)
    if kind is False:  # YAML's reading of `off`
        return OFF
    if kind not in KINDS:
        raise WrongOption("drafts", f"must be one of {', '.join(KINDS)}")
    return str(kind)
