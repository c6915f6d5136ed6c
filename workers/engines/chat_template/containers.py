"""Lists and dicts that a template makes: how large they are, all that they hold included.

A list of twice the same list, of which another holds twice that, is small in memory and without end
once something walks it: comparing, sorting or printing it would hold the whole process.
"""

from __future__ import annotations

from collections.abc import MappingView
from typing import Any

from workers.engines.chat_template import meter

#: Items and characters, counted as often as they would be printed.
LARGEST = 32_000_000


class WeighedList(list[Any]):
    """A list that knows its weight, so that one more item costs no walk over all others."""

    def __init__(self, items: list[Any], weight: int) -> None:
        running = meter.current()
        #: A place in a list takes as much memory as some characters.
        self._claim = None if running is None else running.claim(2 * len(items))
        super().__init__(items)
        self.weight = weight


def weigh(value: Any) -> int:
    """The items and characters in a value.

    Raises:
        meter.TooCostly: they are more than a template may have in one.
    """
    if isinstance(value, str):
        return len(value)
    weight, level = 0, [value]
    while level:
        below: list[Any] = []
        for item in level:
            weight += 1
            if isinstance(item, str):
                weight += len(item)
            elif isinstance(item, WeighedList):
                weight += item.weight
            elif isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list | tuple | set | frozenset | MappingView):
                below.extend(item)  # type: ignore[arg-type]
            if weight + len(below) > LARGEST:
                raise meter.TooCostly(f"it makes a list of more than {LARGEST} items")
        meter.step(len(level))
        level = below
    return weight


def checked(value: Any) -> Any:
    """A list, tuple or dict that was just made, if it is not too large."""
    weigh(value)
    return value


def joined(left: list[Any], right: list[Any]) -> WeighedList:
    """Two lists in a row."""
    weight = weigh(left) + weigh(right)
    if weight > LARGEST:
        raise meter.TooCostly(f"it makes a list of more than {LARGEST} items")
    return WeighedList([*left, *right], weight)


def repeated(items: Any, times: int) -> Any:
    """A list or a tuple, so many times."""
    weight = weigh(items) * max(0, times)
    if weight > LARGEST:
        raise meter.TooCostly(f"it makes a list of more than {LARGEST} items")
    meter.step(len(items) * max(0, times))
    return items * times


def counted(value: Any) -> Any:
    """A value that was just made; the items of a list count as steps."""
    if isinstance(value, list | tuple | dict):
        meter.step(len(value))
    return value
