"""Pressure: what some weights leave of a machine's memory."""

from __future__ import annotations

#: Part of the memory up to which the weights may go -> what that is called. Of 16 GB these are the
#: 8, 12 and 15 GB of the table that the presets come from.
_BOUNDS = {0.5: "light", 0.75: "medium", 0.9375: "full"}


def pressure(weights_bytes: int, memory_bytes: int) -> str:
    """`light`, `medium`, `full` or `does not fit`."""
    for part, name in _BOUNDS.items():
        if weights_bytes <= part * memory_bytes:
            return name
    return "does not fit"
