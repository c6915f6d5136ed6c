"""Which engine a backend's name means.

An engine registers itself where it is defined: in the module or package `workers.engines.<name>`,
which is imported when its name is first asked for, or anywhere else before a worker starts. What
is heavy to import stays inside the factory.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from presets import backends
from presets.model import ModelSpec
from workers.contract.errors import ModelLoadFailed
from workers.engines.base import Engine, EngineOptions
from workers.engines.embedding_engine import EmbeddingEngine
from workers.engines.encoder import CrossEncoder, Encoder
from workers.engines.model_tokenizer import ModelTokenizer
from workers.engines.rerank_engine import RerankEngine
from workers.engines.tuning import Tuner

#: Makes a fresh, unloaded engine. Raises ModelLoadFailed where its package is not installed.
Factory = Callable[[EngineOptions], Engine]
#: Makes a fresh, unloaded encoder. Raises as `Factory`.
EncoderFactory = Callable[[EngineOptions], Encoder]
#: Makes a fresh, unloaded cross-encoder. Raises as `Factory`.
CrossEncoderFactory = Callable[[EngineOptions], CrossEncoder]
#: Makes a model's tokenizer. Raises ModelLoadFailed where it cannot.
TokenizerFactory = Callable[[ModelSpec], ModelTokenizer]


@dataclass(frozen=True, slots=True)
class _Registration:
    factory: Factory | None
    encoder: EncoderFactory | None
    cross_encoder: CrossEncoderFactory | None
    tokenizer: TokenizerFactory | None
    tuner: Tuner | None
    import_ahead: Callable[[], None]


_REGISTERED: dict[str, _Registration] = {}


def register(
    backend: str,
    factory: Factory | None,
    *,
    encoder: EncoderFactory | None = None,
    cross_encoder: CrossEncoderFactory | None = None,
    tokenizer: TokenizerFactory | None = None,
    tuner: Tuner | None = None,
    import_ahead: Callable[[], None] = lambda: None,
) -> None:
    """Let a backend's name mean an engine.

    `factory` makes what writes, `encoder` what embeds, `cross_encoder` what ranks; None: the engine
    does not.
    `tokenizer` makes a model's tokenizer without its weights; None: nobody counts for its models
    before they answer. `tuner` measures the formats of a model's weights; None: the engine has one
    format alone.
    `import_ahead` imports what is heavy, in a process that has no model yet. Nothing, where the
    import itself looks at the devices: which ones it may see is not known then.
    """
    _REGISTERED[backend] = _Registration(
        factory, encoder, cross_encoder, tokenizer, tuner, import_ahead
    )


def import_ahead(backend: str) -> None:
    """Import what an engine needs before it has a model; one that cannot be imported says so later.

    Raises:
        ModelLoadFailed: there is no such engine.
    """
    with contextlib.suppress(ImportError):
        _find(backend).import_ahead()


def create(backend: str, options: EngineOptions) -> Engine:
    """A fresh, unloaded engine.

    Raises:
        ModelLoadFailed: there is no such engine, or its package is not installed.
    """
    factory = _find(backend).factory
    if factory is None:
        raise ModelLoadFailed(f"{backend} runs models that embed or rank alone.")
    return factory(options)


def create_embedding(backend: str, options: EngineOptions) -> EmbeddingEngine:
    """A fresh, unloaded engine of an embedding model.

    Raises:
        ModelLoadFailed: as `create`, or the engine makes no embeddings.
    """
    encoder = _find(backend).encoder
    if encoder is None:
        raise ModelLoadFailed(f"{backend} runs no embedding models.")
    return EmbeddingEngine(encoder(options))


def create_reranking(backend: str, options: EngineOptions) -> RerankEngine:
    """A fresh, unloaded engine of a cross-encoder.

    Raises:
        ModelLoadFailed: as `create`, or the engine runs none.
    """
    cross_encoder = _find(backend).cross_encoder
    if cross_encoder is None:
        raise ModelLoadFailed(f"{backend} runs no cross-encoders.")
    return RerankEngine(cross_encoder(options))


def tokenizer(spec: ModelSpec) -> ModelTokenizer:
    """The tokenizer of a model, without its weights.

    Raises:
        ModelLoadFailed: its engine has none, its package is not installed, or the model's files are
            missing or broken.
    """
    make = _find(spec.backend).tokenizer
    if make is None:
        raise ModelLoadFailed(
            f"{spec.id} is run by {spec.backend}, which has no tokenizer that counts without it."
        )
    return make(spec)


def tuner(backend: str) -> Tuner | None:
    """What measures the formats of an engine's weights; None where it has one format alone.

    Raises:
        ModelLoadFailed: there is no such engine.
    """
    return _find(backend).tuner


def _find(backend: str) -> _Registration:
    name = backend.replace("-", "_")
    module = f"{__package__}.{name}"
    unknown = backend not in _REGISTERED
    if unknown and name.isidentifier() and importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
    try:
        return _REGISTERED[backend]
    except KeyError:
        known = ", ".join(sorted({*backends.names(), *_REGISTERED}))
        raise ModelLoadFailed(f"unknown backend {backend!r}; known: {known}") from None
