"""How an engine that cuts a model into equal parts does it: one part on each GPU.

Tensor parallelism cuts every layer, pipeline parallelism puts some layers here and others there.
The words are vLLM's own options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from presets.wrong_option import WrongOption

TENSOR, PIPELINE = "tensor_parallel_size", "pipeline_parallel_size"
#: Who starts the parts on other hosts; vLLM's other ways start them on this one.
_EXECUTOR, _OF_MANY_HOSTS = "distributed_executor_backend", "ray"
_MOST = 1024


@dataclass(frozen=True, slots=True)
class Parallelism:
    """Into how many parts a model is cut."""

    #: Parts of each layer; None: as many as there are devices for each stage.
    tensor: int | None = None
    #: Stages of layers.
    pipeline: int = 1
    #: Parts may be on other hosts too.
    many_hosts: bool = False

    @property
    def parts(self) -> int | None:
        """All parts; None where the devices decide."""
        return None if self.tensor is None else self.tensor * self.pipeline

    def on(self, devices: int) -> int:
        """Parts of each layer with so many devices on this host, 0 or more.

        Raises:
            WrongOption: the parts do not fit those devices, one each.
        """
        if self.tensor is None:
            if devices % self.pipeline:
                raise WrongOption(PIPELINE, f"{devices} devices make no {self.pipeline} stages")
            return max(1, devices // self.pipeline)
        parts = self.tensor * self.pipeline
        if devices and devices != parts and not (self.many_hosts and devices < parts):
            raise WrongOption(
                TENSOR,
                f"{self.tensor} parts of each layer in {self.pipeline} stages need {parts} devices,"
                f" not {devices}; `{_EXECUTOR}: {_OF_MANY_HOSTS}` spreads them over hosts",
            )
        return self.tensor


def of(options: Mapping[str, Any]) -> Parallelism:
    """What a model's options say.

    Raises:
        WrongOption: a number is none, or too large.
    """
    tensor, pipeline = (_number(options, name) for name in (TENSOR, PIPELINE))
    return Parallelism(tensor, pipeline or 1, options.get(_EXECUTOR) == _OF_MANY_HOSTS)


def _number(options: Mapping[str, Any], name: str) -> int | None:
    given = options.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MOST:
        raise WrongOption(name, f"must be a whole number from 1 to {_MOST}")
    return given
