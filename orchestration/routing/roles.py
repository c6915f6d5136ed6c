"""Roles: which of them a task calls for, and which models can take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from presets.model import ModelSpec

#: Stands last where a model of any role will do.
ANY = "any"

#: Role -> the roles that are asked in turn where it is wanted, itself the first.
ROLES_FOR_ROLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "coder": ("coder", "primary"),
        "thinker": ("thinker", "primary"),
        "fast": ("fast", "primary"),
        "longctx": ("longctx", "thinker"),
        "primary": ("primary", ANY),
    }
)
#: What is asked for where nothing is said.
DEFAULT = ROLES_FOR_ROLE["primary"]

_TASKS = {
    "coder": ("code", "debug", "refactor", "review", "test"),
    "thinker": ("analyze", "reason", "compare", "debate", "plan"),
    "fast": ("simple", "quick", "classify", "extract"),
    "longctx": ("document", "summarize_long", "rag"),
    "primary": ("general", "summarize", "explain", "chat"),
}
#: Task type -> the roles that are asked in turn.
ROLES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {task: ROLES_FOR_ROLE[role] for role, tasks in _TASKS.items() for task in tasks}
)


def roles_for(task_type: str | None) -> tuple[str, ...]:
    """The roles that a task type asks for in turn; those of `general` where it is not known."""
    return ROLES_OF.get(task_type or "", DEFAULT)


def role_taken(spec: ModelSpec, roles: Iterable[str]) -> str | None:
    """The first of these roles that a model has; None where it has none of them."""
    return next((role for role in roles if role == ANY or role in spec.roles), None)


def ranked(specs: Iterable[ModelSpec], roles: tuple[str, ...]) -> tuple[ModelSpec, ...]:
    """The models that have one of the roles, the most fitting first.

    By the order of `roles`, then by where that role stands in the model's own list, then as they
    came.
    """
    fitting = [(spec, role) for spec in specs if (role := role_taken(spec, roles)) is not None]

    def rank(candidate: tuple[ModelSpec, str]) -> tuple[int, int]:
        spec, role = candidate
        return roles.index(role), 0 if role == ANY else spec.roles.index(role)

    return tuple(spec for spec, _ in sorted(fitting, key=rank))
