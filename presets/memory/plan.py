"""The memory plan: where each model goes, how large its KV pool is, and whether all models fit."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from presets.memory.machine import Machine
from presets.memory.pools import Demand, MemoryPool, Split, memory_pools, needed_bytes, splits

#: llama.cpp rounds a KV pool up to a multiple of so many cells.
_CELLS = 256
#: The part of the RAM that is left after all KV pools, for the prompt caches whose size nobody set,
#: and the most that one of them gets.
_FOR_PROMPT_CACHES = 1 / 4
_MOST_PROMPT_CACHE_BYTES = 2**30


class Verdict(enum.StrEnum):
    """How full a memory pool is when every model has its least KV pool."""

    #: Up to half of it is taken.
    LIGHT = "light"
    #: Up to three quarters.
    MEDIUM = "medium"
    #: Up to fifteen sixteenths.
    FULL = "full"
    #: More than there is.
    DOES_NOT_FIT = "does not fit"


#: Of 16 GB these are the 8, 12 and 15 GB of the table that the presets come from.
_BOUNDS = {0.5: Verdict.LIGHT, 0.75: Verdict.MEDIUM}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one model of a plan is placed."""

    demand: Demand
    #: Tokens of its KV pool; 0: it does not fit.
    kv_tokens: int
    #: The devices that it is placed on; empty: the RAM.
    devices: tuple[int, ...] = ()
    #: Bytes of RAM that its prompt cache may take.
    prompt_cache_bytes: int = 0

    def pinned(self) -> Demand:
        """The same demand, for this placement and no other."""
        share = self.demand.device_share if self.devices else 0.0
        return replace(self.demand, devices=self.devices, device_share=share)

    @property
    def fits(self) -> bool:
        """Whether there is enough memory for it."""
        return self.kv_tokens > 0

    @property
    def model(self) -> str:
        """The model's id."""
        return self.demand.footprint.model

    @property
    def context_available(self) -> int:
        """Tokens that one request could use; 0 where the model does not fit."""
        return min(self.demand.footprint.context_length, self.kv_tokens)

    @property
    def planned_bytes(self) -> int:
        """Bytes with its KV pool, the least one where it does not fit, and without its cache."""
        footprint = self.demand.footprint
        return footprint.bytes_with(self.kv_tokens or footprint.least_tokens)


@dataclass(frozen=True, slots=True)
class Plan:
    """The placement of every model, in the order of the demands, and their sum."""

    placements: tuple[Placement, ...]
    verdict: Verdict
    machine: Machine

    @property
    def fits(self) -> bool:
        """Whether every model fits, at least with its least KV pool."""
        return self.verdict is not Verdict.DOES_NOT_FIT

    @property
    def least_bytes(self) -> int:
        """Bytes of all models with their least KV pools, and of the caches that were asked for."""
        demands = [placement.demand for placement in self.placements]
        caches = sum(demand.prompt_cache_bytes or 0 for demand in demands)
        return caches + sum(demand.footprint.least_bytes for demand in demands)

    @property
    def planned_bytes(self) -> int:
        """Bytes of all models with their planned KV pools and prompt caches."""
        return sum(p.planned_bytes + p.prompt_cache_bytes for p in self.placements)

    def of(self, model: str) -> Placement:
        """The placement of one model.

        Raises:
            KeyError: the plan has no such model.
        """
        for placement in self.placements:
            if placement.model == model:
                return placement
        raise KeyError(model)


def make(demands: Sequence[Demand], machine: Machine) -> Plan:
    """Place the models, the largest first, since a large one suffers most from slow memory.

    Every KV pool is wanted whole. Where that is too much, all of them shrink towards their least
    size by the same part of the difference, before any model is refused. Prompt caches whose size
    nobody set share what is left after that.
    """
    pools = memory_pools(machine)
    chosen: dict[int, Split] = {}
    for number, demand in sorted(enumerate(demands), key=lambda e: -e[1].footprint.least_bytes):
        split = _first_that_fits(demand, pools)
        if split is not None:
            chosen[number] = split
            for pool, size in _asked_bytes(demand, split, pools).items():
                pool.take(size)
    grown = _growth([(demands[number], split) for number, split in chosen.items()], pools)
    placements = [
        _placement(demand, chosen.get(number), grown) for number, demand in enumerate(demands)
    ]
    placements = _with_prompt_caches(placements, chosen, pools[-1])
    verdict = _verdict(pools) if len(chosen) == len(demands) else Verdict.DOES_NOT_FIT
    return Plan(tuple(placements), verdict, machine)


def forced(demand: Demand, machine: Machine) -> Placement:
    """A model in the best of its splits with its least KV pool, whether it fits or not."""
    split = next(splits(demand, memory_pools(machine)), {})
    devices = tuple(sorted(pool.device for pool in split if pool.device is not None))
    cache_bytes = demand.prompt_cache_bytes or 0
    return Placement(demand, demand.footprint.least_tokens, devices, cache_bytes)


def free_bytes(demand: Demand, machine: Machine) -> int:
    """The most memory that a model could have on this machine as it is."""
    pools = memory_pools(machine)
    return max(
        (
            int(min(sum(pool.free_bytes for pool in split), _limit_bytes(demand, split)))
            for split in splits(demand, pools)
        ),
        default=0,
    )


def _first_that_fits(demand: Demand, pools: list[MemoryPool]) -> Split | None:
    for split in splits(demand, pools):
        least = needed_bytes(demand, split, demand.footprint.least_tokens)
        if sum(least.values()) <= _limit_bytes(demand, split) and all(
            size <= pool.free_bytes for pool, size in _asked_bytes(demand, split, pools).items()
        ):
            return split
    return None


def _asked_bytes(demand: Demand, split: Split, pools: list[MemoryPool]) -> dict[MemoryPool, int]:
    """The least bytes of each memory pool, those of a prompt cache that was asked for included."""
    asked = needed_bytes(demand, split, demand.footprint.least_tokens)
    if demand.prompt_cache_bytes:
        ram = pools[-1]
        asked[ram] = asked.get(ram, 0) + demand.prompt_cache_bytes
    return asked


def _limit_bytes(demand: Demand, split: Split) -> float:
    """The most bytes that a model may take of its memory pools."""
    if demand.memory_fraction is None:
        return float("inf")
    return demand.memory_fraction * sum(pool.total_bytes for pool in split)


def _growth(chosen: list[tuple[Demand, Split]], pools: list[MemoryPool]) -> dict[MemoryPool, float]:
    """Memory pool -> the part (0 to 1) of the wished growth of its KV pools that it can give."""
    asked: dict[MemoryPool, float] = dict.fromkeys(pools, 0.0)
    for demand, split in chosen:
        footprint = demand.footprint
        more = footprint.bytes_with(footprint.wanted_tokens) - footprint.least_bytes
        for pool, part in split.items():
            asked[pool] += part * more
            if pool.within is not None:
                asked[pool.within] += part * more
    return {
        pool: min(1.0, pool.kv_growth_bytes() / more) if more else 1.0
        for pool, more in asked.items()
    }


def _with_prompt_caches(
    placements: list[Placement], chosen: Mapping[int, Split], ram: MemoryPool
) -> list[Placement]:
    """Give every placed model its prompt cache."""
    left_bytes = float(ram.left_bytes)
    for number, split in chosen.items():
        footprint = placements[number].demand.footprint
        grown_bytes = footprint.bytes_with(placements[number].kv_tokens) - footprint.least_bytes
        left_bytes -= grown_bytes * sum(
            p for pool, p in split.items() if ram in (pool, pool.within)
        )
    sharing = [n for n in chosen if placements[n].demand.prompt_cache_bytes is None]
    share = max(0.0, _FOR_PROMPT_CACHES * left_bytes) / max(1, len(sharing))
    sizes = {
        number: min(int(share), _MOST_PROMPT_CACHE_BYTES)
        if number in sharing
        else placements[number].demand.prompt_cache_bytes or 0
        for number in chosen
    }
    return [
        replace(placement, prompt_cache_bytes=sizes.get(number, 0))
        for number, placement in enumerate(placements)
    ]


def _placement(demand: Demand, split: Split | None, grown: dict[MemoryPool, float]) -> Placement:
    if split is None:
        return Placement(demand, 0)
    footprint = demand.footprint
    touched = [*split, *(pool.within for pool in split if pool.within is not None)]
    part = min(grown[pool] for pool in touched)
    least, wanted = footprint.least_tokens, footprint.wanted_tokens
    tokens = least + int(part * (wanted - least))
    if demand.memory_fraction is not None and footprint.kv_bytes_per_token:
        process_bytes = sum(pool.process_bytes for pool in split)
        here = sum(split.values())  # less than 1 where other hosts have parts of it
        left_bytes = (_limit_bytes(demand, split) - process_bytes) / here - footprint.bytes_with(0)
        tokens = min(tokens, int(left_bytes // footprint.kv_bytes_per_token))
    if tokens < wanted:
        tokens = max(least, tokens // _CELLS * _CELLS)
    devices = tuple(sorted(pool.device for pool in split if pool.device is not None))
    return Placement(demand, tokens, devices)


def _verdict(pools: list[MemoryPool]) -> Verdict:
    """By the fullest memory pool; Metal's is judged by the RAM that it is a part of."""
    whole = [pool for pool in pools if pool.within is None]
    taken = max((pool.needed_bytes / pool.total_bytes for pool in whole), default=0)
    return next((name for bound, name in _BOUNDS.items() if taken <= bound), Verdict.FULL)
