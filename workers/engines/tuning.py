"""What tuning measures of a format of weights, and which format is the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from presets.model import ModelSpec

#: Tokens of a usual chat request, by which formats are compared.
CHAT_PROMPT, CHAT_ANSWER = 256, 128


@dataclass(frozen=True, slots=True)
class Measured:
    """One format on this machine."""

    #: Name of the format; None: the file as it is.
    form: str | None
    size_bytes: int
    #: Prompt tokens per second.
    prefill_tokens_s: float
    #: Tokens per second of one answer alone, and of `rows` answers together.
    decode_tokens_s: float
    batch_tokens_s: float
    rows: int
    #: Of the shipped text.
    perplexity: float
    #: Mean divergence from the file as it is, in nats per token.
    divergence: float

    @property
    def chat_s(self) -> float:
        """Seconds that a usual chat request takes on a worker that always has `rows` of them."""
        return CHAT_PROMPT / self.prefill_tokens_s + CHAT_ANSWER / self.batch_tokens_s


class Tuner(Protocol):
    """Measures every format that an engine can make of a model's weights."""

    def __call__(
        self,
        spec: ModelSpec,
        cache_dir: Path,
        *,
        threads: int | None,
        rows: int,
        gpu_layers: int,
        on_start: Callable[[str], None],
    ) -> Iterator[Measured]:
        """Measure the file as it is, then the other formats, one at a time.

        `threads`: CPU threads, None: the engine's choice. `rows`: answers that are decoded
        together. `on_start` gets the name of each format before it is measured.

        Raises:
            ModelLoadFailed: the file cannot be loaded, or made into a format.
            InsufficientMemory: it does not fit.
        """


def choose(measured: Sequence[Measured], most_loss: float) -> Measured:
    """The fastest for a usual chat, of those that lose at most `most_loss` nats per token."""
    usable = [format_ for format_ in measured if _is_usable(format_, most_loss)]
    return min(usable, key=lambda format_: format_.chat_s)


def _is_usable(measured: Measured, most_loss: float) -> bool:
    return measured.form is None or measured.divergence <= most_loss
