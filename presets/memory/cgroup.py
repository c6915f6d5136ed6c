"""What a container may use of its host's memory: the limits of its control groups.

Files and meaning: the kernel's documentation of cgroup v2 (`memory.max`, `memory.current`,
`memory.stat`) and v1 (`memory.limit_in_bytes`, `memory.usage_in_bytes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: v1 has no word for "no limit": it gives a number near 2**63.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True, slots=True)
class Limit:
    """The memory of one control group, in bytes."""

    total: int
    #: Pages of unchanged files can be freed at any time and do not count as used.
    used: int


def limits(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> list[Limit]:
    """Every limit that this process lives under: its own group's and those above it."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    limits_: list[Limit] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits_ += _limits(root, path, "memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
            limits_ += _limits(root / "memory", path, *names)
    return limits_


def _limits(root: Path, path: str, most: str, used: str, prefix: str) -> Iterator[Limit]:
    # Inside a container the group's own directory is often mounted as the root.
    group = root / path.lstrip("/")
    for directory in (group, *group.parents):
        limit = _limit(directory, most, used, prefix)
        if limit is not None:
            yield limit
        if directory == root:
            return


def _limit(directory: Path, most: str, used: str, prefix: str) -> Limit | None:
    try:
        total = (directory / most).read_text(encoding="ascii").strip()
        now = int((directory / used).read_text(encoding="ascii"))
        stat = dict(
            line.split() for line in (directory / "memory.stat").read_text("ascii").splitlines()
        )
    except (OSError, ValueError):
        return None
    if total == "max" or int(total) >= _NO_LIMIT:
        return None
    files = sum(int(stat.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
    return Limit(total=int(total), used=max(0, now - files))
