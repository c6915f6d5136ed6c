"""Split files: one model in several GGUF files, which the engine finds by their names.

Names as llama.cpp's `gguf-split` gives them, e.g. `phi-00002-of-00003.gguf`.
"""

from __future__ import annotations

import re

_PART = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


def parts(name: str) -> tuple[str, ...]:
    """The names of all parts of the model that `name` belongs to; itself where it is not split."""
    match = _PART.fullmatch(name)
    if match is None:
        return (name,)
    count = match["count"]
    return tuple(
        f"{match['stem']}-{number:05d}-of-{count}.gguf" for number in range(1, int(count) + 1)
    ) or (name,)


def first_part(name: str) -> str:
    """The name that stands for the whole model: its first part's."""
    return parts(name)[0]


def stem(name: str) -> str:
    """The name without the number of its part and without `.gguf`, in whatever case."""
    match = _PART.fullmatch(name)
    if match:
        return match["stem"]
    return name[: -len(".gguf")] if name.lower().endswith(".gguf") else name


def is_readable(name: str) -> bool:
    """Whether the engine finds all parts by this name; it knows one spelling alone."""
    return _PART.fullmatch(name) is not None or _PART.fullmatch(name.lower()) is None
