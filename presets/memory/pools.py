"""The memory pools of a machine, and the ways to split a model over them.

A memory pool is the RAM or the memory of one device. What a model keeps for its tokens is its *KV
pool*, a part of the memory pool that the model is placed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from presets.memory.footprint import Footprint
from presets.memory.machine import Machine

_MB = 2**20
#: What every process holds on a CUDA device besides its model (context and kernels). Assumed:
#: NVIDIA documents no figure, and it depends on device and driver.
_CUDA_CONTEXT_BYTES = 512 * _MB
#: The part of every memory pool that is kept for other programs. Of 16 GB 15 remain, which is where
#: the table ends that the presets come from.
_KEPT_FOR_OTHERS = 1 / 16
#: The part of the remaining RAM that KV pools may take beyond their least size. The other part is
#: for other programs, and for the files that the system keeps in memory.
_FOR_KV_POOLS = 1 / 2


@dataclass(frozen=True, slots=True)
class Demand:
    """What one model asks of a machine's memory."""

    footprint: Footprint
    #: The part of the model that is meant for a device: 1 is all of it, 0 nothing, a number between
    #: them some of its layers.
    device_share: float = 0.0
    #: The only devices that it may use; empty: any.
    devices: tuple[int, ...] = ()
    #: The part of its memory pools that it may take; None: what is free.
    memory_fraction: float | None = None
    #: Whether it may use the RAM where no device has enough memory.
    falls_back_to_ram: bool = True
    #: It is cut into equal parts, one a device: how many, over all hosts; 0: one for each device
    #: that it is placed on. None: what a device gets depends on what is free there.
    parts: int | None = None
    #: Parts that find no device here are on other hosts.
    many_hosts: bool = False
    #: Bytes of RAM for its prompt cache, wherever it is placed; None: a part of what is left.
    prompt_cache_bytes: int | None = 0


@dataclass(eq=False, slots=True)
class MemoryPool:
    """The RAM or one device's memory, while a plan is made."""

    #: Index of the device; None: the RAM.
    device: int | None
    total_bytes: int
    #: Bytes that models may still take.
    left_bytes: int
    #: Bytes that a process takes here besides its model.
    process_bytes: int = 0
    #: The memory pool that this one is a part of.
    within: MemoryPool | None = None
    #: Bytes that the placed models take with their least KV pools.
    needed_bytes: int = 0

    @property
    def free_bytes(self) -> int:
        """Bytes that can still be placed here."""
        if self.within is None:
            return self.left_bytes
        return min(self.left_bytes, self.within.left_bytes)

    def take(self, size_bytes: int) -> None:
        """Take bytes of it, and of the memory pool that it is a part of."""
        self.left_bytes -= size_bytes
        self.needed_bytes += size_bytes
        if self.within is not None:
            self.within.take(size_bytes)

    def kv_growth_bytes(self) -> int:
        """Bytes that KV pools may take beyond their least size."""
        share = 1 if self.device is not None else _FOR_KV_POOLS
        return max(0, round(share * self.left_bytes))


#: One way to place a model: memory pool -> the part of the model in it.
Split = Mapping[MemoryPool, float]


def memory_pools(machine: Machine) -> list[MemoryPool]:
    """The machine's devices in the order of their index, then its RAM."""
    ram = _pool(None, machine.total_bytes, machine.available_bytes)
    if machine.unified:
        # Metal's working set leaves enough memory to other programs.
        parts = [MemoryPool(d.index, d.total_bytes, d.free_bytes, 0, ram) for d in machine.devices]
        return [*parts, ram]
    return [
        *(
            _pool(d.index, d.total_bytes, d.free_bytes, _CUDA_CONTEXT_BYTES)
            for d in machine.devices
        ),
        ram,
    ]


def splits(demand: Demand, pools: list[MemoryPool]) -> Iterator[Split]:
    """The ways to place a model, the best first.

    A model that names devices is placed on those. Any other is tried on each device alone, the one
    with the most free memory first, then on all devices together, then in the RAM.
    """
    *devices, ram = pools
    named = [pool for pool in devices if pool.device in demand.devices]
    if len(named) < len(demand.devices):
        return
    if not demand.device_share or not devices:
        yield {ram: 1.0}
        return
    if demand.parts:
        yield from _in_parts(demand, named or devices)
        return
    if named:
        yield _split(demand, named, ram)
        return
    for pool in sorted(devices, key=lambda pool: -pool.free_bytes):
        yield _split(demand, [pool], ram)
    if len(devices) > 1:
        yield _split(demand, devices, ram)
    if demand.falls_back_to_ram:
        yield {ram: 1.0}


def needed_bytes(demand: Demand, split: Split, kv_tokens: int) -> dict[MemoryPool, int]:
    """Bytes that the model takes of each memory pool, with a KV pool of `kv_tokens`."""
    size = demand.footprint.bytes_with(kv_tokens)
    return {
        pool: round(part * size) + (pool.process_bytes if size else 0)
        for pool, part in split.items()
    }


def _pool(device: int | None, total: int, free: int, process_bytes: int = 0) -> MemoryPool:
    left_bytes = max(0, free - round(_KEPT_FOR_OTHERS * total))
    return MemoryPool(device, total, left_bytes, process_bytes)


def _in_parts(demand: Demand, devices: list[MemoryPool]) -> Iterator[Split]:
    """One equal part on each of the devices with the most free memory."""
    parts = demand.parts or 1
    if len(devices) < parts and not demand.many_hosts:
        return
    chosen = sorted(devices, key=lambda pool: -pool.free_bytes)[:parts]
    yield dict.fromkeys(chosen, 1 / parts)


def _split(demand: Demand, devices: list[MemoryPool], ram: MemoryPool) -> Split:
    """Over devices by their free memory, as llama.cpp does; the RAM gets the rest."""
    if demand.parts is not None:
        return dict.fromkeys(devices, 1 / len(devices))
    free = [max(1, pool.free_bytes) for pool in devices]
    split = {
        pool: demand.device_share * part / sum(free)
        for pool, part in zip(devices, free, strict=True)
    }
    return split if demand.device_share >= 1 else {**split, ram: 1 - demand.device_share}
