"""Rooms: the memories of a machine that models are placed in, and the ways to place one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from presets.memory.footprint import Footprint
from presets.memory.machine import Machine

_MB = 2**20
#: What every process holds on a CUDA device besides its model (context and kernels). Assumed:
#: NVIDIA documents no figure, and it differs by device and driver.
_CUDA_CONTEXT_BYTES = 512 * _MB
#: The part of every memory that is left to others: of 16 GB the rest is 15, where the table that
#: the presets come from ends.
_LEFT_TO_OTHERS = 1 / 16
#: The part of the RAM that is left which pools may take beyond the least. The other part is for
#: the programs beside the models, and the files that the system keeps in memory for them.
_FOR_POOLS = 1 / 2


@dataclass(frozen=True, slots=True)
class Demand:
    """One model that is to be placed."""

    footprint: Footprint
    #: The part of it that is meant for a device: 1 all, 0 none, between them some of its layers.
    device_share: float = 0.0
    #: The only devices for it; empty: any.
    devices: tuple[int, ...] = ()
    #: The part of the memory of its place that it may take; None: what is free.
    memory_fraction: float | None = None
    #: Whether the RAM will do where no device takes it.
    ram_will_do: bool = True


@dataclass(eq=False, slots=True)
class MemoryPool:
    """One memory, while a plan is made."""

    #: Index of the device; None: the RAM.
    device: int | None
    total: int
    #: What may still be taken.
    left: int
    #: What a process takes here besides its model.
    context: int = 0
    #: The memory that this one is a part of.
    within: MemoryPool | None = None
    #: What the models take with the least of pools.
    needed: int = 0

    @property
    def room(self) -> int:
        """What can still be placed here."""
        return min(self.left, self.within.left) if self.within is not None else self.left

    def take(self, size_bytes: int) -> None:
        """Take of it, and of what it is a part of."""
        self.left -= size_bytes
        self.needed += size_bytes
        if self.within is not None:
            self.within.take(size_bytes)

    def growth(self) -> int:
        """What pools may take beyond the least."""
        return max(0, self.left if self.device is not None else round(_FOR_POOLS * self.left))


#: A way to place a model: the part of it in each room.
Spot = Mapping[MemoryPool, float]


def rooms(machine: Machine) -> list[MemoryPool]:
    """The machine's devices in the order of their index, and behind them its RAM."""
    ram = _room(None, machine.total_bytes, machine.available_bytes)
    if machine.unified:
        # The working set leaves enough to others as it is.
        parts = [MemoryPool(d.index, d.total_bytes, d.free_bytes, 0, ram) for d in machine.devices]
        return [*parts, ram]
    return [
        *(
            _room(d.index, d.total_bytes, d.free_bytes, _CUDA_CONTEXT_BYTES)
            for d in machine.devices
        ),
        ram,
    ]


def spots(want: Demand, all_rooms: list[MemoryPool]) -> Iterator[Spot]:
    """The ways to place a model, the best first.

    Those devices that it names; else the one device with the most room, then all together, then
    the RAM.
    """
    *devices, ram = all_rooms
    named = [room for room in devices if room.device in want.devices]
    if len(named) < len(want.devices):
        return
    if not want.device_share or not devices:
        yield {ram: 1.0}
        return
    if named:
        yield _split(want, named, ram)
        return
    by_room = sorted(devices, key=lambda room: -room.room)
    for room in by_room:
        yield _split(want, [room], ram)
    if len(devices) > 1:
        yield _split(want, devices, ram)
    if want.ram_will_do:
        yield {ram: 1.0}


def needs(want: Demand, spot: Spot, kv_tokens: int) -> dict[MemoryPool, int]:
    """What the model takes of each room, with a pool of so many tokens."""
    size = want.footprint.bytes_with(kv_tokens)
    return {room: round(part * size) + (room.context if size else 0) for room, part in spot.items()}


def _room(device: int | None, total: int, free: int, context: int = 0) -> MemoryPool:
    return MemoryPool(device, total, max(0, free - round(_LEFT_TO_OTHERS * total)), context)


def _split(want: Demand, devices: list[MemoryPool], ram: MemoryPool) -> Spot:
    """Over devices by what they have free, as llama.cpp does; what no device gets to the RAM."""
    free = [max(1, room.room) for room in devices]
    spot = {
        room: want.device_share * part / sum(free) for room, part in zip(devices, free, strict=True)
    }
    return spot if want.device_share >= 1 else {**spot, ram: 1 - want.device_share}
