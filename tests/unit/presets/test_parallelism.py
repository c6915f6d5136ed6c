"""Equal parts of a model, one a device: what the options say, and where the plan puts them."""

import pytest

from presets import parallelism
from presets.memory import plan
from presets.memory.devices import Device
from presets.memory.footprint import Footprint
from presets.memory.machine import Machine
from presets.memory.pools import Demand
from presets.wrong_option import WrongOption

GB = 2**30


@pytest.mark.parametrize(
    ("options", "devices", "tensor"),
    [
        ({}, 0, 1),
        ({}, 4, 4),
        ({"pipeline_parallel_size": 2}, 4, 2),
        ({"tensor_parallel_size": 2, "pipeline_parallel_size": 2}, 4, 2),
        ({"tensor_parallel_size": 2}, 0, 2),  # on a CPU
        ({"tensor_parallel_size": 8, "distributed_executor_backend": "ray"}, 2, 8),
    ],
)
def test_options_and_devices_make_parts(options, devices, tensor):
    assert parallelism.of(options).on(devices) == tensor


@pytest.mark.parametrize(
    ("options", "devices", "named"),
    [
        ({"tensor_parallel_size": 2}, 4, "tensor_parallel_size"),
        ({"tensor_parallel_size": 4, "pipeline_parallel_size": 2}, 4, "tensor_parallel_size"),
        ({"pipeline_parallel_size": 3}, 4, "pipeline_parallel_size"),
        ({"tensor_parallel_size": 2, "distributed_executor_backend": "ray"}, 4,
         "tensor_parallel_size"),
        ({"tensor_parallel_size": 0}, 1, "tensor_parallel_size"),
        ({"pipeline_parallel_size": "two"}, 1, "pipeline_parallel_size"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(options, devices, named):
    with pytest.raises(WrongOption) as refused:
        parallelism.of(options).on(devices)
    assert refused.value.option == named


def gpus(*free_gb):
    """Devices of 80 GB, so much of each free for models."""
    spare = 512 * 2**20 + 5 * GB  # CUDA's own, and what is kept for others
    return Machine(
        256 * GB, 256 * GB, tuple(Device(i, 80 * GB, f * GB + spare) for i, f in enumerate(free_gb))
    )


def cut(weights_gb, parts, **fields):
    size = Footprint("m", weights_gb * GB, 0, 0, 4096, 2048, 4096)
    return Demand(size, 1.0, falls_back_to_ram=False, parts=parts, **fields)


def placed(demand, machine):
    (placement,) = plan.make([demand], machine).placements
    return placement.devices if placement.fits else None


def test_each_device_must_have_room_for_an_equal_part():
    assert placed(cut(100, 2), gpus(60, 60)) == (0, 1)
    assert placed(cut(100, 2), gpus(70, 40)) is None  # by what is free it would have fitted
    assert placed(cut(100, 4), gpus(70, 40, 30, 30, 30)) == (0, 1, 2, 3)


def test_as_many_devices_as_parts_and_those_with_the_most_room():
    assert placed(cut(20, 2), gpus(20, 60, 5, 60)) == (1, 3)
    assert placed(cut(20, 4), gpus(60, 60)) is None
    assert placed(cut(20, 2, devices=(0, 2)), gpus(20, 60, 20, 60)) == (0, 2)


def test_without_a_number_one_device_or_all_in_equal_parts():
    assert placed(cut(50, 0), gpus(40, 60)) == (1,)
    assert placed(cut(70, 0), gpus(40, 60)) == (0, 1)
    assert placed(cut(90, 0), gpus(40, 60)) is None


def test_parts_on_other_hosts_are_no_load_of_this_one():
    assert placed(cut(200, 8, many_hosts=True), gpus(60, 60)) == (0, 1)
    assert placed(cut(200, 8, many_hosts=True), gpus(60, 20)) is None
