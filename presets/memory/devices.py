"""The devices of this machine that a model can be loaded onto, found without any engine.

NVIDIA's by `nvidia-smi`, Apple's by `sysctl`. Those of other makers are not found:
their models are planned in the RAM.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)

_MB = 2**20
_QUERY = (
    "nvidia-smi",
    "--query-gpu=index,memory.total,memory.free",
    "--format=csv,noheader,nounits",
)
_VISIBLE = "CUDA_VISIBLE_DEVICES"
#: A driver that hangs must not hang every command of ours.
_ANSWERS_WITHIN_S = 10.0
#: Metal's working set (`recommendedMaxWorkingSetSize`), where `iogpu.wired_limit_mb` is 0: the
#: part of the RAM, and the RAM up to which it holds. Apple documents no figure; llama.cpp's logs
#: give two thirds of 16 and 32 GB and three quarters of larger ones, newer macOS a little more
#: (11.8 of 16 GB: github.com/AlexsJones/llmfit/pull/754; 107.5 of 128 GB:
#: github.com/antirez/ds4/pull/893).
_WORKING_SETS = {36 * 2**30: 2 / 3, 1 << 63: 3 / 4}


@dataclass(frozen=True, slots=True)
class Device:
    """One device; of Metal, the part of the RAM that it may use."""

    #: As `nvidia-smi` counts, by bus id; 0 of Metal.
    index: int
    total_bytes: int
    free_bytes: int


def ask(command: Sequence[str]) -> str | None:
    """What a command prints; None where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return None
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWERS_WITHIN_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s does not respond, no GPU is used: %s", command[0], error)
        return None


def nvidia(
    environment: Mapping[str, str], ask: Callable[[Sequence[str]], str | None] = ask
) -> tuple[Device, ...]:
    """NVIDIA's devices, those alone that CUDA_VISIBLE_DEVICES leaves where it names numbers."""
    output = ask(_QUERY) or ""
    devices = []
    for line in output.splitlines():
        numbers = re.findall(r"\d+", line)
        if len(numbers) == 3:  # "[N/A]" where memory is shared with the CPU's
            index, total, free = map(int, numbers)
            devices.append(Device(index, total * _MB, free * _MB))
    named = _visible(environment)
    return tuple(device for device in devices if named is None or device.index in named)


def show_only(indexes: Sequence[int], environment: MutableMapping[str, str]) -> None:
    """Let the engine that is imported next see these of NVIDIA's devices alone.

    A choice by the devices' own names (`GPU-...`) stays as it is.
    """
    if _VISIBLE in environment and _visible(environment) is None:
        return
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # else CUDA counts the fastest first
    environment[_VISIBLE] = ",".join(map(str, indexes))


def _visible(environment: Mapping[str, str]) -> set[int] | None:
    """The devices that CUDA is let see; None: all, or they are not named by their numbers."""
    value = environment.get(_VISIBLE)
    if value is None or not re.fullmatch(r"[\d,\s]*", value):
        return None
    return {int(number) for number in re.findall(r"\d+", value)}


def metal(
    memory_bytes: int, ask: Callable[[Sequence[str]], str | None] = ask
) -> tuple[Device, ...]:
    """Metal's part of an Apple machine's memory."""
    megabytes = (ask(("sysctl", "-n", "iogpu.wired_limit_mb")) or "").strip()
    limit = int(megabytes) * _MB if megabytes.isdigit() else 0
    if not limit:
        part = next(part for most, part in _WORKING_SETS.items() if memory_bytes <= most)
        limit = int(memory_bytes * part)
    limit = min(limit, memory_bytes)
    return (Device(0, limit, limit),)
