"""A machine's memory: its RAM, that of its devices, and what of both is free."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import psutil

from presets.backends import Backend
from presets.memory import cgroup, devices
from presets.memory.devices import Device

#: Bytes that models take, by the index of their device; None: the RAM.
Taken = Counter[int | None]


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to plan with, in bytes."""

    #: RAM, or a container's limit where that is less.
    total_bytes: int
    available_bytes: int
    devices: tuple[Device, ...] = ()
    #: The one device, Metal, is a part of the RAM.
    unified: bool = False

    def emptied(self) -> Machine:
        """The same machine with nothing on it: what it could hold."""
        free = tuple(replace(device, free_bytes=device.total_bytes) for device in self.devices)
        return replace(self, available_bytes=self.total_bytes, devices=free)

    def keeping(self, size_bytes: int) -> Machine:
        """With so much of the RAM kept for something that is no model."""
        return replace(
            self,
            total_bytes=max(0, self.total_bytes - size_bytes),
            available_bytes=max(0, self.available_bytes - size_bytes),
        )

    def beside(self, taken: Taken) -> Machine:
        """With what loaded models take of it.

        The operating system counts weights that are mapped from their file as free; they are not,
        as long as their model answers. A discrete device reports itself what is free.
        """
        left = max(0, self.total_bytes - sum(taken.values() if self.unified else [taken[None]]))
        free = self.devices
        if self.unified:
            free = tuple(replace(d, free_bytes=d.total_bytes - taken[d.index]) for d in free)
        return replace(self, available_bytes=min(self.available_bytes, left), devices=free)

    def without(self, taken: Taken) -> Machine:
        """As it would be if those models were not there."""
        if self.unified:
            return self  # its figures do not contain them
        ram = min(self.total_bytes, self.available_bytes + taken[None])
        free = (
            replace(d, free_bytes=min(d.total_bytes, d.free_bytes + taken[d.index]))
            for d in self.devices
        )
        return replace(self, available_bytes=ram, devices=tuple(free))


def total_bytes() -> int:
    """The RAM of this machine, or a container's limit where that is less."""
    return min([psutil.virtual_memory().total, *(limit.total for limit in cgroup.limits())])


def cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read(environment: Mapping[str, str] = os.environ) -> Machine:
    """This machine as it is now."""
    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    for limit in cgroup.limits():
        total = min(total, limit.total)
        available = min(available, limit.total - limit.used)
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        # macOS compresses idle programs and writes them out when others ask: what it calls free
        # at a moment says little of what can be had.
        return Machine(total, total, devices.metal(total), unified=True)
    return Machine(total, max(0, available), devices.nvidia(environment))


def can_offload(machine: Machine, backend: Backend) -> bool:
    """Whether an engine can use the machine's devices; its package is looked at, not loaded."""
    if not backend.uses_devices or not machine.devices:
        return False
    if machine.unified and not backend.uses_metal:
        return False
    if backend.device_libraries is None:
        return True
    package = find_spec(backend.device_libraries)
    folders = (package.submodule_search_locations or ()) if package is not None else ()
    kind = "metal" if machine.unified else "cuda"
    return any(True for folder in folders for _ in Path(folder).glob(f"lib/*ggml-{kind}*"))
