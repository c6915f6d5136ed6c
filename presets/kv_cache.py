"""The KV cache of a model: in which types its numbers are kept, as the model's options say.

The names are llama.cpp's (`--cache-type-k`, `--cache-type-v`, `--flash-attn`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from presets.wrong_option import WrongOption

#: Type -> bytes of one number, by the size of ggml's blocks: q8_0 has 34 bytes for 32 numbers.
BYTES = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
_PLAIN = ("f32", "f16", "bf16")


@dataclass(frozen=True, slots=True)
class KvCache:
    """How keys and values are kept, and whether attention is computed without their products."""

    type_k: str = "f16"
    type_v: str = "f16"
    #: None: where llama.cpp finds it faster, which is nearly everywhere.
    flash_attention: bool | None = None


def of(options: Mapping[str, Any]) -> KvCache:
    """The KV cache that a model's options ask for.

    Raises:
        WrongOption: one of them has a value that is not known, or they do not go together.
    """
    default = KvCache()
    types = {name: options.get(name, getattr(default, name)) for name in ("type_k", "type_v")}
    for name, value in types.items():
        if not isinstance(value, str) or value not in BYTES:
            raise WrongOption(name, f"must be one of {', '.join(BYTES)}")
    flash_attention = options.get("flash_attention")
    if not (flash_attention is None or isinstance(flash_attention, bool)):
        raise WrongOption("flash_attention", "must be true or false")
    if flash_attention is False and types["type_v"] not in _PLAIN:
        raise WrongOption("type_v", f"must be one of {', '.join(_PLAIN)} without flash_attention")
    return KvCache(types["type_k"], types["type_v"], flash_attention)
