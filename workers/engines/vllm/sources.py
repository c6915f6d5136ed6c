"""Where a model's safetensors are: its directory, else the hub."""

from __future__ import annotations

from presets.model import ModelSpec
from presets.weights import safetensors
from workers.contract.errors import ModelLoadFailed


def find(spec: ModelSpec) -> str:
    """What vLLM calls the model: its directory, or its repository of the Hugging Face hub.

    Raises:
        ModelLoadFailed: it has neither.
    """
    if spec.path is not None and safetensors.holds_model(spec.path):
        return str(spec.path)
    if spec.hf is not None:
        return spec.hf.repo
    raise ModelLoadFailed(
        f"{spec.id} has no safetensors source, and vLLM reads nothing else: {spec.path} has no "
        "config.json with *.safetensors, and the catalogue names no sources.hf."
    )
