"""The backends: what the catalogue and the memory plan must know of an engine without loading it.

One row for each engine that ships; the engine itself is `workers.engines.<name>`. An engine that is
defined elsewhere calls `register`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Weights(enum.Enum):
    """The files that an engine reads a model from."""

    #: It reads no files, and a model takes no memory.
    NONE = enum.auto()
    #: One GGUF file, or all parts of a split one.
    GGUF = enum.auto()
    #: A directory of safetensors with their configuration.
    SAFETENSORS = enum.auto()


class Offload(enum.Enum):
    """What of a model an engine can put on a device."""

    #: Nothing: it knows no devices.
    NOTHING = enum.auto()
    #: Some or all layers, as the settings and the model say.
    LAYERS = enum.auto()
    #: All of it, where there is a discrete device.
    WHOLE = enum.auto()


@dataclass(frozen=True, slots=True)
class Backend:
    """The traits of one engine."""

    #: As settings, catalogue and `workers.engines.registry` name it.
    name: str
    weights: Weights = Weights.GGUF
    #: It runs models that write; else those that embed or rank alone.
    writes: bool = True
    #: It fetches weights by itself where the catalogue names their repository.
    fetches_weights: bool = False
    offload: Offload = Offload.NOTHING
    #: Whether Apple's Metal is a device to it.
    uses_metal: bool = True
    #: It runs in the RAM where the devices have no room. Without devices every engine runs there.
    falls_back_to_ram: bool = True
    #: It cuts a model into equal parts, one a device (`presets.parallelism`); else by what is free.
    cuts_evenly: bool = False
    #: It keeps what it has read in the RAM, under the bound that the memory plan gives it.
    caches_prompts: bool = False
    #: The Python package whose `lib` folder has one library for each kind of device that it was
    #: built for, `libggml-cuda` or `libggml-metal`; None: it can use every device it finds.
    device_libraries: str | None = None
    #: Its answers can be held to a JSON Schema.
    holds_answers: bool = True
    #: It fills gaps whatever the model; else where the model's vocabulary has the marks.
    fills_gaps: bool = False
    #: What its answers can be asked beyond what all engines do, by the parameters' names: those of
    #: `workers.contract.sampling.EXTRAS`. Others are refused before a job is stored.
    sampling: frozenset[str] = frozenset()
    #: What to do where that package was built without the library of this machine's devices.
    build_hint: str = ""

    @property
    def uses_devices(self) -> bool:
        """Whether a model can be placed on devices at all."""
        return self.offload is not Offload.NOTHING


#: The engine of models and settings that name none.
DEFAULT = "llamacpp"

_OF_ALL_THAT_SHIP = frozenset(
    {
        "repetition_penalty",
        "min_tokens",
        "ignore_eos",
        "stop_token_ids",
        "include_stop_str_in_output",
        "logprobs",
    }
)
_OF_LLAMA_CPP = frozenset(
    {"repeat_last_n", "typical_p", "top_n_sigma", "xtc_probability", "dry_multiplier"}
)

_ROWS = (
    Backend(
        "llamacpp",
        offload=Offload.LAYERS,
        caches_prompts=True,
        device_libraries="llama_cpp",
        build_hint=(
            "the installed llama-cpp-python is built for the CPU alone; build it with "
            "CMAKE_ARGS=-DGGML_CUDA=on"
        ),
        sampling=_OF_ALL_THAT_SHIP | _OF_LLAMA_CPP | {"logit_bias", "prediction"},
    ),
    Backend(
        "vllm",
        weights=Weights.SAFETENSORS,
        fetches_weights=True,
        offload=Offload.WHOLE,
        uses_metal=False,
        falls_back_to_ram=False,
        cuts_evenly=True,
        sampling=_OF_ALL_THAT_SHIP | {"logit_bias"},
    ),
    # PyTorch's own way to a device; it looks at CUDA_VISIBLE_DEVICES.
    Backend(
        "sentence-transformers",
        weights=Weights.SAFETENSORS,
        writes=False,
        offload=Offload.WHOLE,
    ),
    # It says its script, whatever its answers are to be held to. Its tokens are certain: what only
    # changes chances changes nothing, except to ban one.
    Backend(
        "scripted",
        weights=Weights.NONE,
        holds_answers=False,
        fills_gaps=True,
        sampling=_OF_ALL_THAT_SHIP | _OF_LLAMA_CPP | {"prediction"},
    ),
)

_BACKENDS = {row.name: row for row in _ROWS}


def register(backend: Backend) -> None:
    """Add a backend, or replace the one of its name."""
    _BACKENDS[backend.name] = backend


def get(name: str) -> Backend:
    """The traits of a backend.

    A name without a row, which a catalogue's file may have, is planned like a file of GGUF in the
    RAM; its worker says that there is no such engine.
    """
    return _BACKENDS.get(name) or Backend(name)


def writing() -> tuple[str, ...]:
    """The names of those that run models which write: one of them is the default."""
    return tuple(name for name, row in _BACKENDS.items() if row.writes)


def names() -> tuple[str, ...]:
    """The names of all backends, in the order in which they were added."""
    return tuple(_BACKENDS)
