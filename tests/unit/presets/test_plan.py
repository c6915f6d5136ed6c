"""The memory plan: every preset on three machines, and how models and pools are placed."""

import dataclasses
from pathlib import Path

import pytest

from presets.catalogue import Catalogue
from presets.memory import footprint, plan
from presets.memory.devices import Device, metal
from presets.memory.footprint import Footprint
from presets.memory.machine import Machine
from presets.memory.plan import Verdict
from presets.memory.pools import Demand

GB = 2**30
MAC = Machine(16 * GB, 16 * GB, metal(16 * GB, lambda _command: None), unified=True)
GPU = Machine(32 * GB, 32 * GB, (Device(0, 24 * GB, 24 * GB),))
SMALL = Machine(8 * GB, 8 * GB)

CATALOGUE = Catalogue.load(None, "llamacpp")
PRESETS = CATALOGUE.presets()
NO_CACHE = Path("no-such-directory")
#: What the table calls the presets, and what the plan says of 16 GB.
ON_A_MAC = {
    "mac": {Verdict.LIGHT, Verdict.MEDIUM},
    "mac-alone": {Verdict.FULL},
    "server": {Verdict.DOES_NOT_FIT},
}
#: The table has these on servers alone; their size would fit 16 GB (docs/CATALOGUE.md says so).
FIT_ALL_THE_SAME = {"S7", "S8"}


def of(preset, machine, share):
    """The plan of a preset without any of its files."""
    wants = [Demand(footprint.of(CATALOGUE.get(m), 1, NO_CACHE), share) for m in preset.models]
    return plan.make(wants, machine)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_every_preset_plans_on_a_16_gb_mac_as_its_table_says(preset):
    planned = of(preset, MAC, 1.0)
    if preset.id in FIT_ALL_THE_SAME:
        assert planned.fits
    else:
        assert planned.verdict in ON_A_MAC[preset.hardware]
    holds(planned)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_every_preset_plans_on_a_24_gb_gpu(preset):
    planned = of(preset, GPU, 1.0)
    assert planned.fits == (preset.id != "P6")  # 56 GB of weights are more than GPU and RAM
    if preset.hardware != "server":
        assert all(placed.devices == (0,) for placed in planned.placements)
    holds(planned)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_every_preset_plans_on_8_gb(preset):
    planned = of(preset, SMALL, 0.0)
    assert planned.fits == (planned.least_bytes <= 7.5 * GB)
    if preset.hardware == "server":
        assert not planned.fits
    holds(planned)


def holds(planned):
    """What is true of every plan: pools between least and wanted, and nothing beyond the room."""
    for placed in planned.placements:
        size = placed.demand.footprint
        assert placed.kv_tokens == 0 or size.least_tokens <= placed.kv_tokens <= size.wanted_tokens
    there = [placed for placed in planned.placements if placed.fits]
    machine = planned.machine
    on_device = sum(placed.planned_bytes for placed in there if placed.devices)
    in_ram = sum(p.planned_bytes for p in there if machine.unified or not p.devices)
    assert in_ram <= machine.available_bytes * 15 / 16
    assert on_device <= sum(device.free_bytes for device in machine.devices)
    assert planned.fits == (len(there) == len(planned.placements))


def want(name="m", weights=1000, wanted=1000, least=100, context=500, **changes):
    """A model whose tokens are one byte each, with nothing besides weights and pool."""
    return Demand(Footprint(name, weights, 1, 0, wanted, least, context), **changes)


def tokens(planned):
    return {placed.model: placed.kv_tokens for placed in planned.placements}


def ram(size):
    """RAM of which exactly `size` is left after what belongs to others."""
    return Machine(1_600_000, size + 100_000)


def test_pools_are_whole_where_there_is_room():
    planned = plan.make([want("a"), want("b")], ram(100_000))
    assert tokens(planned) == {"a": 1000, "b": 1000}
    # Of the pool one request may use the model's context.
    assert planned.placements[0].context_available == 500


def test_pools_shrink_by_the_same_part_before_anything_is_refused():
    both = [want("a", wanted=10_100), want("b", wanted=20_100)]
    # After weights and least pools 15,000 are left, half of which pools may take: a quarter of
    # the 30,000 that they want more.
    planned = plan.make(both, ram(2200 + 15_000))
    assert tokens(planned) == {"a": 2600 // 256 * 256, "b": 5100 // 256 * 256}
    assert tokens(plan.make(both, ram(2200))) == {"a": 100, "b": 100}


def test_one_that_has_no_room_is_named_and_the_others_are_planned():
    planned = plan.make([want("a"), want("b", weights=5000), want("c")], ram(5500))
    assert not planned.fits
    assert [placed.model for placed in planned.placements if not placed.fits] == ["a", "c"]
    assert planned.placements[0].context_available == 0


@pytest.mark.parametrize(
    ("needed", "verdict"),
    [
        (0.5, "light"),
        (0.51, "medium"),
        (0.75, "medium"),
        (0.76, "full"),
        (0.9375, "full"),
        (0.94, "does not fit"),
    ],
)
def test_verdicts(needed, verdict):
    size = 1_600_000
    planned = plan.make([want(weights=round(needed * size) - 100)], Machine(size, size))
    assert planned.verdict == verdict


def gpus(*free, ram=0):
    """Devices with so much free after what belongs to others and to CUDA."""
    cuda = 512 * 2**20
    return Machine(
        max(1, ram * 2),
        ram + ram // 8,
        tuple(Device(i, 16 * GB, f + cuda + GB) for i, f in enumerate(free)),
    )


def test_the_largest_model_goes_to_the_emptiest_device():
    planned = plan.make(
        [want("a", device_share=1.0), want("b", weights=4000, device_share=1.0)], gpus(2000, 5000)
    )
    assert {placed.model: placed.devices for placed in planned.placements} == {"a": (0,), "b": (1,)}


def test_a_model_larger_than_any_device_is_split_over_all_of_them():
    planned = plan.make([want(weights=6000, device_share=1.0)], gpus(4000, 4000))
    assert planned.placements[0].devices == (0, 1)


def test_what_no_device_takes_goes_to_the_ram_unless_that_will_not_do():
    large = want(weights=6000, device_share=1.0)
    planned = plan.make([large], gpus(2000, ram=50_000))
    assert (planned.placements[0].devices, planned.fits) == ((), True)
    only_there = dataclasses.replace(large, falls_back_to_ram=False)
    assert not plan.make([only_there], gpus(2000, ram=50_000)).fits


def test_named_devices_are_obeyed():
    named = want(device_share=1.0, devices=(0,))
    assert plan.make([named], gpus(2000, 5000)).placements[0].devices == (0,)
    assert not plan.make([named], gpus(500, 5000, ram=50_000)).fits
    missing = dataclasses.replace(named, devices=(7,))
    assert not plan.make([missing], gpus(2000, 5000, ram=50_000)).fits


def test_some_layers_on_the_device_take_both():
    half = want(weights=4000, device_share=0.5)
    assert plan.make([half], gpus(2500, ram=50_000)).placements[0].devices == (0,)
    assert plan.make([half], gpus(1500, ram=50_000)).placements[0].devices == ()


def test_a_memory_fraction_bounds_pool_and_model():
    size = 1_600_000
    free = Machine(size, size)
    (bounded,) = plan.make([want(wanted=9000, memory_fraction=3000 / size)], free).placements
    assert bounded.kv_tokens == 2000 // 256 * 256
    (refused,) = plan.make([want(memory_fraction=1000 / size)], free).placements
    assert not refused.fits
    assert plan.free_bytes(refused.demand, free) == 1000


def test_a_model_that_is_forced_has_the_least_pool_in_its_best_place():
    planned = plan.forced(want(weights=10**12, device_share=1.0), gpus(500, 900))
    assert (planned.kv_tokens, planned.devices) == (100, (1,))
    assert plan.forced(want(device_share=1.0, devices=(7,)), gpus(500)).kv_tokens == 100


def test_models_that_take_nothing_always_fit():
    planned = plan.make([Demand(Footprint("s", 0, 0, 0, 4096, 2048, 4096))] * 9, Machine(1, 0))
    assert (planned.verdict, planned.placements[0].kv_tokens) == ("light", 4096)
