"""OpenAI's service tiers: other words for priorities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web.schemas.refusals import invalid
from workers.contract.job import Priority

#: The tier that leaves the priority to the service.
AUTO = "auto"
_PRIORITIES = {"default": Priority.NORMAL, "flex": Priority.LOW, "priority": Priority.HIGH}
TIERS = (AUTO, *_PRIORITIES)


def priority(data: Mapping[str, Any], default: Priority) -> Priority:
    """The priority that a body asks for, by its number or its tier.

    Raises:
        ValidationFailed: both are given, and differ.
    """
    number, meant = data.get("priority"), _PRIORITIES.get(data.get("service_tier") or AUTO)
    if number is None:
        return default if meant is None else meant
    if meant is not None and meant != number:
        raise invalid(
            "service_tier",
            f"stands for priority {meant.value}, and priority is {number}: send one of both",
        )
    return Priority(number)


def of(priority: Priority) -> str:
    """The tier of a priority, for an answer."""
    if priority < Priority.NORMAL:
        return "flex"
    return "priority" if priority > Priority.NORMAL else "default"
