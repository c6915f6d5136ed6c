"""A machine's memory, as programs and the kernel's files tell it."""

import pytest

from presets import backends
from presets.memory import cgroup, devices
from presets.memory.cgroup import Limit
from presets.memory.devices import Device
from presets.memory.machine import Machine, Taken, can_offload, read

MB, GB = 2**20, 2**30
LLAMACPP = backends.get("llamacpp")


def test_nvidia_smi_is_read():
    printed = "0, 24564, 24080\n1, 24564, 512\n"
    assert devices.nvidia({}, lambda _command: printed) == (
        Device(0, 24564 * MB, 24080 * MB),
        Device(1, 24564 * MB, 512 * MB),
    )


@pytest.mark.parametrize(
    "printed", [None, "", "No devices were found\n", "0, [N/A], [N/A]\n", "NVIDIA-SMI has failed\n"]
)
def test_without_devices_it_says_so_in_many_ways(printed):
    assert devices.nvidia({}, lambda _command: printed) == ()


@pytest.mark.parametrize(
    ("visible", "indexes"), [("1", [1]), ("1, 0", [0, 1]), ("", []), ("GPU-1234abcd", [0, 1])]
)
def test_what_cuda_may_not_see_is_not_there(visible, indexes):
    printed = "0, 100, 90\n1, 100, 90\n"
    visible_devices = devices.nvidia({"CUDA_VISIBLE_DEVICES": visible}, lambda _command: printed)
    assert [device.index for device in visible_devices] == indexes


def test_the_engine_is_shown_the_devices_of_the_plan():
    environment = {}
    devices.show_only((1, 3), environment)
    assert environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "1,3"}
    devices.show_only((), environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    named = {"CUDA_VISIBLE_DEVICES": "GPU-1234abcd"}
    devices.show_only((0,), named)
    assert named == {"CUDA_VISIBLE_DEVICES": "GPU-1234abcd"}


@pytest.mark.parametrize(
    ("ram", "limit", "expected_bytes"),
    [
        (16 * GB, "0\n", 16 * GB * 2 // 3),
        (16 * GB, None, 16 * GB * 2 // 3),
        (64 * GB, "0\n", 48 * GB),
        (16 * GB, "14336\n", 14 * GB),
        (16 * GB, "99999\n", 16 * GB),
    ],
)
def test_metals_working_set(ram, limit, expected_bytes):
    (device,) = devices.metal(ram, lambda _command: limit)
    assert (device.total_bytes, device.free_bytes) == (expected_bytes, expected_bytes)


def test_a_program_that_is_missing_or_fails_is_none(tmp_path, monkeypatch):
    failing = tmp_path / "nvidia-smi"
    failing.write_text("#!/bin/sh\necho broken driver\nexit 9\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.ask(("nvidia-smi",)) is None
    assert devices.ask(("no-such-program",)) is None


def write(directory, **files):
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_text(content)


@pytest.fixture
def own(tmp_path):
    """The process's line in /proc/self/cgroup."""

    def make(line):
        (tmp_path / "own").write_text(line)
        return tmp_path / "own"

    return make


def test_limits_of_version_2_are_those_of_all_groups_above(tmp_path, own):
    root = tmp_path / "fs"
    stat = "anon 900\ninactive_file 300\nactive_file 100\n"
    write(root / "pod" / "it", memory__max="max\n", memory__current="1000\n", memory__stat=stat)
    write(root / "pod", memory__max="5000\n", memory__current="2000\n", memory__stat=stat)
    assert cgroup.limits(root, own("0::/pod/it\n")) == [Limit(5000, 1600)]


def test_limits_where_the_own_group_is_mounted_as_the_root(tmp_path, own):
    root = tmp_path / "fs"
    write(root, memory__max="5000\n", memory__current="1000\n", memory__stat="anon 1000\n")
    assert cgroup.limits(root, own("0::/somewhere/else\n")) == [Limit(5000, 1000)]


def test_limits_of_version_1(tmp_path, own):
    root = tmp_path / "fs"
    files = {
        "memory__usage_in_bytes": "1000\n",
        "memory__stat": "total_inactive_file 100\ninactive_file 7\ntotal_active_file 50\n",
    }
    write(root / "memory", memory__limit_in_bytes="9223372036854771712\n", **files)
    write(root / "memory" / "docker", memory__limit_in_bytes="4000\n", **files)
    line = "5:cpu,cpuacct:/x\n4:memory:/docker\n"
    assert cgroup.limits(root, own(line)) == [Limit(4000, 850)]


def test_no_limits(tmp_path):
    assert cgroup.limits(tmp_path, tmp_path / "missing") == []


def test_a_containers_limit_is_the_machines_memory(monkeypatch):
    monkeypatch.setattr(cgroup, "limits", lambda: [Limit(300 * MB, 100 * MB), Limit(GB, GB // 2)])
    monkeypatch.setattr("presets.memory.machine.platform.system", lambda: "Linux")
    machine = read({"CUDA_VISIBLE_DEVICES": ""})
    assert (machine.total_bytes, machine.available_bytes) == (300 * MB, 200 * MB)


def test_an_apple_machine_is_its_ram_and_metals_part_of_it(monkeypatch):
    monkeypatch.setattr("presets.memory.machine.platform.system", lambda: "Darwin")
    monkeypatch.setattr("presets.memory.machine.platform.machine", lambda: "arm64")
    machine = read({})
    assert machine.unified
    assert machine.available_bytes == machine.total_bytes > machine.devices[0].total_bytes


def test_beside_and_without_what_is_loaded():
    now = Machine(100, 60, (Device(0, 50, 20), Device(1, 50, 50)))
    taken = Taken({None: 30, 0: 25})
    assert now.beside(taken) == now  # the 30 are among the 40 that are used
    assert now.beside(Taken({None: 70})).available_bytes == 30
    assert now.without(taken) == Machine(100, 90, (Device(0, 50, 45), Device(1, 50, 50)))
    assert now.emptied() == Machine(100, 100, (Device(0, 50, 50), Device(1, 50, 50)))


def test_beside_what_is_loaded_on_metal():
    now = Machine(100, 100, (Device(0, 70, 70),), unified=True)
    beside = now.beside(Taken({None: 10, 0: 30}))
    assert beside == Machine(100, 60, (Device(0, 70, 40),), unified=True)
    assert beside.emptied() == now == now.without(Taken({None: 10, 0: 30}))


def test_a_llama_cpp_for_the_cpu_alone_uses_no_device(tmp_path, monkeypatch):
    """It is looked for among the package's libraries."""
    (tmp_path / "llama_cpp" / "lib").mkdir(parents=True)
    (tmp_path / "llama_cpp" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "llama_cpp", raising=False)
    with_gpu = Machine(GB, GB, (Device(0, GB, GB),))
    assert not can_offload(with_gpu, LLAMACPP)
    (tmp_path / "llama_cpp" / "lib" / "libggml-cuda.so").touch()
    assert can_offload(with_gpu, LLAMACPP)
    assert not can_offload(Machine(GB, GB), LLAMACPP)
