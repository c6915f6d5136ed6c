"""The footprint of one model: what its weights, its KV pool and the rest of its worker take.

Read from the model's file where it is there; else estimated from the size that the catalogue
gives, and marked as an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from presets import backends, kv_cache
from presets.backends import Weights
from presets.kv_cache import BYTES, KvCache
from presets.model import ModelSpec
from presets.weights import weight_files
from presets.weights.formats import BITS_PER_WEIGHT, requantised_file
from presets.weights.gguf import NotGGUF, Value, file_format, read_metadata
from presets.weights.gguf_kind import is_encoder

#: Tokens of the pool for each request that is answered at once, where nothing else is set: a
#: prompt and an answer of a usual chat. One request may use all of them.
KV_TOKENS_PER_REQUEST = 2048
#: A pool of fewer tokens answers no usual request; a model with a shorter context needs no more.
LEAST_KV_TOKENS = 2048
#: Tokens that llama.cpp computes at once (`n_ubatch`), by which its buffers are sized.
COMPUTED_TOKENS = 512
#: The longest text of which a vector is made, or that is ranked, whatever its model could read:
#: OpenAI's own bound. A text is computed at once, and buffers grow with it.
MOST_ENCODED_TOKENS = 8192

_MB = 2**20
_GB = 10**9
#: What models have whose options say nothing of it.
_KV_CACHE = KvCache()
#: Bytes that a token of the pool takes in the attention mask of one computation, in f16. Of the
#: shipped model llama.cpp reports compute buffers of 15.6, 21.6 and 45.5 MiB at 2,048, 8,192 and
#: 32,768 tokens, which is this and a constant.
_MASK_BYTES = COMPUTED_TOKENS * 2
#: Bytes in the mask of a pair of tokens that are computed together: one in f32, one in f16.
_ENCODER_MASK_BYTES = 6
#: What a worker process takes before it has a model: 70 MB measured after its imports, and its
#: threads and what llama.cpp allocates outside its buffers.
_PROCESS_BYTES = 96 * _MB
#: What PyTorch and sentence-transformers take beside that: 463 MB after their imports, on Linux.
_TORCH_BYTES = 464 * _MB
#: Weights in bytes up to which -> KV bytes of a token, and bytes besides weights and pool, of a
#: model whose file is not there. Each is the most that one of the catalogue's models of that size
#: has (llama-3.2-3b: 28 layers of 8 heads of 128; granite-8b: 36 of them; phi-4: 40 of 10 heads).
_ESTIMATES = {
    3 * _GB: (112 * 1024, 176 * _MB),
    6 * _GB: (144 * 1024, 240 * _MB),
    1 << 63: (200 * 1024, 256 * _MB),
}


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one model takes of the memory it is loaded into."""

    model: str
    weights_bytes: int
    #: What one token of the pool takes, its part of the attention mask included.
    kv_bytes_per_token: int
    #: Compute buffers and the process.
    overhead_bytes: int
    #: Tokens of the pool: as many as are of use, and the fewest with which it is worth loading.
    wanted_tokens: int
    least_tokens: int
    #: The most tokens one request may use: the catalogue's, or the file's own where that is less.
    context_length: int
    #: Layers, the output's included, as llama.cpp counts them; 0 where it is unknown.
    layers: int = 0
    #: Its file was not read: sizes are the catalogue's, the rest is estimated from them.
    estimated: bool = False
    #: Requests that are answered at once.
    concurrency: int = 1

    def bytes_with(self, kv_tokens: int) -> int:
        """Everything, with a pool of so many tokens."""
        return self.weights_bytes + self.overhead_bytes + kv_tokens * self.kv_bytes_per_token

    @property
    def least_bytes(self) -> int:
        """Everything, with the least pool."""
        return self.bytes_with(self.least_tokens)


@dataclass(frozen=True, slots=True)
class _Head:
    """What a file's metadata say of its memory."""

    kv_bytes_per_token: int
    compute_bytes: int
    context_length: int | None
    layers: int
    file_format: str | None


def of(spec: ModelSpec, concurrency: int, cache_dir: Path) -> Footprint:
    """The footprint of a model whose worker answers `concurrency` requests at once.

    `cache_dir` is where requantised files are kept. A file that cannot be read is planned like one
    that is not there: its worker says what is wrong with it.
    """
    cache = kv_cache.of(spec.options)
    head = _head(spec.path, cache) if spec.path is not None else None
    context_length = spec.context_length
    if head is not None and head.context_length is not None:
        context_length = min(context_length, head.context_length)
    weights = _weights_bytes(spec, head, cache_dir)
    if not spec.kind.writes:
        return _of_encoder(spec, concurrency, head, weights, context_length)
    asked = spec.options.get("kv_tokens")
    wanted = int(asked or max(context_length, KV_TOKENS_PER_REQUEST * concurrency))
    if head is not None:
        kv, overhead = head.kv_bytes_per_token, head.compute_bytes + _PROCESS_BYTES
    else:
        kv, overhead = _estimate(weights, cache)
    return Footprint(
        model=spec.id,
        weights_bytes=weights,
        kv_bytes_per_token=kv + _MASK_BYTES if weights else 0,
        overhead_bytes=overhead if weights else 0,
        wanted_tokens=wanted,
        least_tokens=min(wanted, context_length, LEAST_KV_TOKENS),
        context_length=context_length,
        layers=head.layers if head is not None else 0,
        estimated=head is None and weights > 0,
        concurrency=concurrency,
    )


def _of_encoder(
    spec: ModelSpec, concurrency: int, head: _Head | None, weights: int, context_length: int
) -> Footprint:
    """A model that keeps nothing of what it has read: its pool is the longest text.

    A token of that takes its part of the compute buffers, of the mask and, where the model is a
    decoder, of keys and values.
    """
    tokens = min(context_length, MOST_ENCODED_TOKENS)
    kv, compute = _estimate(weights, _KV_CACHE)
    if head is not None:
        kv, compute = head.kv_bytes_per_token, head.compute_bytes
    per_token = kv + compute // COMPUTED_TOKENS + tokens * _ENCODER_MASK_BYTES
    return Footprint(
        model=spec.id,
        weights_bytes=weights,
        kv_bytes_per_token=per_token if weights else 0,
        overhead_bytes=_process_bytes(spec) if weights else 0,
        wanted_tokens=tokens,
        least_tokens=tokens,
        context_length=tokens,
        layers=head.layers if head is not None else 0,
        estimated=head is None and weights > 0,
        concurrency=concurrency,
    )


def _process_bytes(spec: ModelSpec) -> int:
    """What the process of a model that writes nothing takes before it has the model."""
    of_torch = backends.get(spec.backend).weights is Weights.SAFETENSORS
    return _PROCESS_BYTES + (_TORCH_BYTES if of_torch else 0)


def kv_bytes_per_token(metadata: Mapping[str, Value], cache: KvCache = _KV_CACHE) -> int:
    """Memory of one token in the KV cache, by a file's metadata; 0 if they lack it.

    Models may have other heads in each layer. Layers with a sliding window count whole, since
    llama.cpp keeps all of their cells too (`swa_full`); recurrent layers have none.
    """
    layers = _number(metadata, "block_count")
    heads = _by_layer(metadata, "attention.head_count", layers)
    if not any(heads):
        return 0
    width = _number(metadata, "embedding_length") // max(heads)
    per_head = sum(
        (_number(metadata, f"attention.{part}_length") or width) * BYTES[type_]
        for part, type_ in (("key", cache.type_k), ("value", cache.type_v))
    )
    kv_heads = _by_layer(metadata, "attention.head_count_kv", layers) or heads
    return round(sum(kv_heads) * per_head)


def _compute_bytes(metadata: Mapping[str, Value]) -> int:
    """llama.cpp's compute buffer without the mask.

    It holds a few activations of `COMPUTED_TOKENS` rows at once; four of the model's width and
    three of its feed-forward's are what llama.cpp reports for the shipped model (13.6 MiB).
    """
    width = _number(metadata, "embedding_length")
    feed_forward = max(_by_layer(metadata, "feed_forward_length", 1), default=0)
    return COMPUTED_TOKENS * 4 * (4 * width + 3 * feed_forward)


def _weights_bytes(spec: ModelSpec, head: _Head | None, cache_dir: Path) -> int:
    if spec.path is None:
        return 0 if backends.get(spec.backend).weights is Weights.NONE else spec.size_bytes
    if spec.path.is_dir():
        return sum(file.stat().st_size for file in spec.path.glob("*.safetensors"))
    if weight_files.missing(spec):
        return spec.size_bytes
    size = sum(part.stat().st_size for part in weight_files.files(spec))
    if spec.requantise is None:
        return size
    made = requantised_file(spec.path, spec.requantise, cache_dir)
    if made.is_file():
        return made.stat().st_size
    before = BITS_PER_WEIGHT.get(head.file_format or "") if head is not None else None
    after = BITS_PER_WEIGHT.get(spec.requantise)
    return round(size * after / before) if before and after else size


def _estimate(weights_bytes: int, cache: KvCache) -> tuple[int, int]:
    kv, overhead = next(sizes for most, sizes in _ESTIMATES.items() if weights_bytes < most)
    return round(kv * (BYTES[cache.type_k] + BYTES[cache.type_v]) / (2 * BYTES["f16"])), overhead


def _head(path: Path, cache: KvCache) -> _Head | None:
    try:
        status = path.stat()
        if not path.is_file():
            return None
        return _read_head(path, cache, status.st_size, status.st_mtime_ns)
    except (OSError, NotGGUF):
        return None


@lru_cache(maxsize=256)
def _read_head(path: Path, cache: KvCache, _size: int, _mtime_ns: int) -> _Head:
    """Read once for each state of the file: a vocabulary of 150,000 words takes 0.2 s to skip."""
    metadata = read_metadata(path)
    return _Head(
        kv_bytes_per_token=0 if is_encoder(metadata) else kv_bytes_per_token(metadata, cache),
        compute_bytes=_compute_bytes(metadata),
        context_length=_number(metadata, "context_length") or None,
        layers=_number(metadata, "block_count") + 1,
        file_format=file_format(metadata),
    )


def _number(metadata: Mapping[str, Value], name: str) -> int:
    value = metadata.get(f"{metadata.get('general.architecture')}.{name}", 0)
    return int(value) if isinstance(value, int | float) else 0


def _by_layer(metadata: Mapping[str, Value], name: str, layers: int) -> tuple[int, ...]:
    """A value given once for all layers or once for each; empty where it is missing."""
    value = metadata.get(f"{metadata.get('general.architecture')}.{name}", 0)
    if isinstance(value, tuple):
        return tuple(int(number) for number in value)
    return (int(value),) * layers if isinstance(value, int | float) and value else ()
