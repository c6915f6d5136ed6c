"""The memory plan: where each model goes, how large its pool is, and whether all of it fits."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from presets.memory.machine import Machine
from presets.memory.pools import Demand, MemoryPool, Spot, needs, rooms, spots

#: llama.cpp rounds a pool up to a multiple of so many cells.
_CELLS = 256


class Verdict(enum.StrEnum):
    """What models with the least of pools leave of a memory."""

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
    """One model of a plan."""

    want: Demand
    #: Tokens of its pool; 0: it does not fit.
    kv_tokens: int
    #: The devices it goes on; empty: the RAM.
    devices: tuple[int, ...] = ()

    def pinned(self) -> Demand:
        """The same model, for this place and no other."""
        share = self.want.device_share if self.devices else 0.0
        return replace(self.want, devices=self.devices, device_share=share)

    @property
    def fits(self) -> bool:
        """Whether there is a place for it."""
        return self.kv_tokens > 0

    @property
    def model(self) -> str:
        """Its id."""
        return self.want.footprint.model

    @property
    def context_available(self) -> int:
        """Tokens that one request could use; 0 where it does not fit."""
        return min(self.want.footprint.context_length, self.kv_tokens)

    @property
    def planned_bytes(self) -> int:
        """What it takes: with its pool, or the least where it does not fit."""
        found = self.want.footprint
        return found.bytes_with(self.kv_tokens or found.least_tokens)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every model of it, in the order that was asked for, and what they come to."""

    placed: tuple[Placement, ...]
    verdict: Verdict
    machine: Machine

    @property
    def fits(self) -> bool:
        """Whether every model has a place, with the least of pools at least."""
        return self.verdict is not Verdict.DOES_NOT_FIT

    @property
    def least_bytes(self) -> int:
        """What it takes with the least of pools."""
        return sum(placed.want.footprint.least_bytes for placed in self.placed)

    @property
    def planned_bytes(self) -> int:
        """What it takes with the pools that were planned."""
        return sum(placed.planned_bytes for placed in self.placed)

    def of(self, model: str) -> Placement:
        """One model of it.

        Raises:
            KeyError: it is none of them.
        """
        for placed in self.placed:
            if placed.model == model:
                return placed
        raise KeyError(model)


def make(wants: Sequence[Demand], machine: Machine) -> Plan:
    """Place the models, largest first, since a large one suffers most from a slow place.

    Pools are wanted whole. Where that is too much they shrink towards the least, all by the same
    part of what lies between, before anything is refused.
    """
    found = rooms(machine)
    chosen: dict[int, Spot] = {}
    for number, want in sorted(enumerate(wants), key=lambda e: -e[1].footprint.least_bytes):
        spot = _first_with_room(want, found)
        if spot is not None:
            chosen[number] = spot
            for room, size in needs(want, spot, want.footprint.least_tokens).items():
                room.take(size)
    parts = _growth([(wants[number], spot) for number, spot in chosen.items()], found)
    placed = tuple(_placed(want, chosen.get(number), parts) for number, want in enumerate(wants))
    verdict = _verdict(found) if len(chosen) == len(wants) else Verdict.DOES_NOT_FIT
    return Plan(placed, verdict, machine)


def forced(want: Demand, machine: Machine) -> Placement:
    """A model in the best of its places with the least of pools, whether there is room or not."""
    spot = next(spots(want, rooms(machine)), {})
    devices = tuple(sorted(room.device for room in spot if room.device is not None))
    return Placement(want, want.footprint.least_tokens, devices)


def free_bytes(want: Demand, machine: Machine) -> int:
    """The most memory that a model could have on this machine as it is."""
    found = rooms(machine)
    return max(
        (
            int(min(sum(room.room for room in spot), _most(want, spot)))
            for spot in spots(want, found)
        ),
        default=0,
    )


def largest_first(plans: Iterable[Plan]) -> list[Plan]:
    """Plans that fit, those that take most first: what to suggest in place of one that does not."""
    return sorted((plan for plan in plans if plan.fits), key=lambda plan: -plan.least_bytes)


def _first_with_room(want: Demand, all_rooms: list[MemoryPool]) -> Spot | None:
    least = want.footprint.least_tokens
    for spot in spots(want, all_rooms):
        asked = needs(want, spot, least)
        if sum(asked.values()) <= _most(want, spot) and all(
            size <= room.room for room, size in asked.items()
        ):
            return spot
    return None


def _most(want: Demand, spot: Spot) -> float:
    """The most that a model may take of its place."""
    if want.memory_fraction is None:
        return float("inf")
    return want.memory_fraction * sum(room.total for room in spot)


def _growth(
    chosen: list[tuple[Demand, Spot]], all_rooms: list[MemoryPool]
) -> dict[MemoryPool, float]:
    """The part of what lies between the least and the wanted pools that each room has."""
    asked: dict[MemoryPool, float] = dict.fromkeys(all_rooms, 0.0)
    for want, spot in chosen:
        footprint = want.footprint
        more = footprint.bytes_with(footprint.wanted_tokens) - footprint.least_bytes
        for room, part in spot.items():
            asked[room] += part * more
            if room.within is not None:
                asked[room.within] += part * more
    return {room: min(1.0, room.growth() / more) if more else 1.0 for room, more in asked.items()}


def _placed(want: Demand, spot: Spot | None, parts: dict[MemoryPool, float]) -> Placement:
    if spot is None:
        return Placement(want, 0)
    footprint = want.footprint
    touched = [*spot, *(room.within for room in spot if room.within is not None)]
    part = min(parts[room] for room in touched)
    least, wanted = footprint.least_tokens, footprint.wanted_tokens
    tokens = least + int(part * (wanted - least))
    if want.memory_fraction is not None and footprint.kv_bytes_per_token:
        contexts = sum(room.context for room in spot)
        left = _most(want, spot) - contexts - footprint.bytes_with(0)
        tokens = min(tokens, int(left // footprint.kv_bytes_per_token))
    if tokens < wanted:
        tokens = max(least, tokens // _CELLS * _CELLS)
    devices = tuple(sorted(room.device for room in spot if room.device is not None))
    return Placement(want, tokens, devices)


def _verdict(all_rooms: list[MemoryPool]) -> Verdict:
    """By the room that is taken most; Metal's is judged by the RAM that it is a part of."""
    taken = max((room.needed / room.total for room in all_rooms if room.within is None), default=0)
    return next((name for bound, name in _BOUNDS.items() if taken <= bound), Verdict.FULL)
