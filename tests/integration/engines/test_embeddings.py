"""llama.cpp as the engine of embedding models, beside llama-cpp-python's own way to ask it."""

import threading

import gguf
import llama_cpp
import numpy as np
import pytest

from presets.kind import Kind
from presets.model import ModelSpec
from tests.support import embedding_model
from workers.contract.embedding import Embedding
from workers.contract.errors import ContextBudgetExceeded, ModelLoadFailed, ValidationFailed
from workers.engines import registry
from workers.engines.base import EngineOptions

TEXTS = ("hello, world", "hello. world", "a", "abc def ghi jkl mno", "[SEP]")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return embedding_model.write(tmp_path_factory.mktemp("models") / "random.gguf")


def loaded(path):
    engine = registry.create_embedding("llamacpp", EngineOptions(32, path.parent, threads=1))
    engine.load(ModelSpec("random", path, 8192, kind=Kind.EMBEDDING), lambda _: None)
    return engine


@pytest.fixture(scope="module")
def engine(file):
    engine = loaded(file)
    yield engine
    engine.close()


def embed(engine, *inputs, **options):
    return engine.embed(Embedding(inputs, **options), threading.Event())


@pytest.mark.parametrize("pooling", [gguf.PoolingType.MEAN, gguf.PoolingType.CLS])
def test_vectors_are_those_of_the_library(tmp_path, pooling):
    path = embedding_model.write(tmp_path / "random.gguf", pooling=pooling)
    engine = loaded(path)
    bare = llama_cpp.Llama(
        str(path), embedding=True, n_ctx=64, n_batch=64, n_ubatch=64, n_threads=1, verbose=False,
        flash_attn=False,
    )  # fmt: skip
    try:
        for texts in (TEXTS[:1], TEXTS[:4]):
            expected = np.array([bare.embed(text, normalize=True) for text in texts])
            got = embed(engine, *texts)
            assert np.abs(got.vectors - expected).max() < 1e-4
    finally:
        engine.close()
        bare.close()


def test_a_vector_does_not_depend_on_what_is_computed_beside_it(engine):
    alone = np.concatenate([embed(engine, text).vectors for text in TEXTS])
    together = embed(engine, *TEXTS * 50)
    assert np.abs(together.vectors - np.tile(alone, (50, 1))).max() < 1e-5
    assert together.vectors.shape == (250, embedding_model.WIDTH)
    assert together.tokens == 50 * sum(embed(engine, text).tokens for text in TEXTS)


def test_ids_are_read_as_they_stand(engine):
    ids = tuple(engine._encoder.tokenize(TEXTS[0]))
    assert np.abs(embed(engine, ids).vectors - embed(engine, TEXTS[0]).vectors).max() < 1e-6
    assert embed(engine, ids[1:-1]).tokens == len(ids) - 2


def test_fewer_numbers_are_the_first_of_length_one(engine):
    whole, cut = embed(engine, "abc").vectors[0], embed(engine, "abc", dimensions=8).vectors[0]
    assert np.allclose(np.linalg.norm(cut), 1, atol=1e-6)
    assert np.allclose(cut, whole[:8] / np.linalg.norm(whole[:8]), atol=1e-6)
    with pytest.raises(ValidationFailed, match="at most 32"):
        embed(engine, "abc", dimensions=33)


def test_what_is_too_long_is_refused_or_read_as_far_as_it_fits(engine):
    long = "a " * 100
    with pytest.raises(ContextBudgetExceeded, match=r"input\.1 has 102") as refused:
        embed(engine, "a", long)
    assert refused.value.details["budget"] == embedding_model.CONTEXT
    cut = embed(engine, long, truncate=True)
    assert cut.tokens == embedding_model.CONTEXT
    fitting = embed(engine, "a " * (embedding_model.CONTEXT - 2))
    assert np.abs(cut.vectors - fitting.vectors).max() < 1e-6
    assert embed(engine, "a " * 200_000, truncate=True).tokens == embedding_model.CONTEXT


def test_an_id_that_is_no_token_is_refused(engine):
    with pytest.raises(ValidationFailed, match=f"token id {10**6}; those of random are 0 to"):
        embed(engine, (2, 10**6, 3))


def test_many_vectors_at_once_have_a_bound(engine, monkeypatch):
    monkeypatch.setattr("workers.engines.embedding_engine.MOST_VECTOR_BYTES", 256)
    with pytest.raises(ValidationFailed, match="may have 2 of them"):
        embed(engine, "a", "b", "c")
    assert embed(engine, "a", "b", "c", dimensions=16).vectors.shape == (3, 16)


def test_a_file_that_pools_nothing_is_no_embedding_model(tmp_path):
    path = embedding_model.write(tmp_path / "none.gguf", pooling=gguf.PoolingType.NONE)
    with pytest.raises(ModelLoadFailed, match="names no pooling"):
        loaded(path)


def test_a_cancelled_request_is_not_computed(engine):
    cancelled = threading.Event()
    cancelled.set()
    assert engine.embed(Embedding(("a",)), cancelled) is None


def test_an_engine_that_writes_makes_no_vectors():
    with pytest.raises(ModelLoadFailed, match="runs no embedding models"):
        registry.create_embedding("scripted", EngineOptions(1, cache_dir=None))
