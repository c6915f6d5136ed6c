"""llama.cpp as the engine of cross-encoders, beside its vectors of the same weights."""

import threading

import gguf
import numpy as np
import pytest

from presets.kind import Kind
from presets.model import ModelSpec
from presets.weights.gguf import read_metadata
from presets.weights.gguf_kind import kind_of
from tests.support import embedding_model
from workers.contract.errors import ContextBudgetExceeded, ModelLoadFailed, ValidationFailed
from workers.contract.reranking import Reranking
from workers.engines import registry
from workers.engines.base import EngineOptions

QUERY = "where is it"
DOCUMENTS = ("it is here", "abc def", "", "a. b, c", "is it where")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "random.gguf"
    return embedding_model.write(path, pooling=gguf.PoolingType.RANK)


def loaded(path, kind=Kind.RERANK):
    create = registry.create_reranking if kind is Kind.RERANK else registry.create_embedding
    engine = create("llamacpp", EngineOptions(32, path.parent, threads=1))
    engine.load(ModelSpec("random", path, 8192, kind=kind), lambda _: None)
    return engine


@pytest.fixture(scope="module")
def engine(file):
    engine = loaded(file)
    yield engine
    engine.close()


def rank(engine, *documents, query=QUERY, **options):
    return engine.rank(Reranking(query, documents, **options), threading.Event())


def in_order(ranking):
    """The scores by the documents' places."""
    return ranking.scores[np.argsort(ranking.indexes)]


def test_scores_are_the_heads_of_the_pooled_vectors(engine, file, tmp_path):
    same = embedding_model.write(tmp_path / "same.gguf", pooling=gguf.PoolingType.CLS)
    vectors = loaded(same, Kind.EMBEDDING)
    tensors = {each.name: each.data for each in gguf.GGUFReader(file).tensors}
    place = embedding_model.vocabulary().index
    try:
        tokenize = vectors._encoder.tokenize
        pairs = [
            [*tokenize(QUERY), *(tokenize(text)[1:] or [place("[SEP]")])] for text in DOCUMENTS
        ]
        pooled = np.concatenate([vectors._encoder.encode([ids]) for ids in pairs])
    finally:
        vectors.close()
    hidden = np.tanh(pooled @ tensors["cls.weight"].T + tensors["cls.bias"])
    logits = hidden @ tensors["cls.output.weight"].reshape(-1) + tensors["cls.output.bias"]
    ranking = rank(engine, *DOCUMENTS)
    assert np.abs(in_order(ranking) - 1 / (1 + np.exp(-logits))).max() < 1e-5
    assert ranking.tokens == sum(map(len, pairs))
    assert list(ranking.scores) == sorted(ranking.scores, reverse=True)


def test_a_score_does_not_depend_on_what_is_computed_beside_it(engine):
    alone = np.concatenate([rank(engine, text).scores for text in DOCUMENTS])
    together = rank(engine, *DOCUMENTS * 40)
    assert np.abs(in_order(together) - np.tile(alone, 40)).max() < 1e-5


def test_the_best_alone_are_told(engine):
    every = rank(engine, *DOCUMENTS)
    best = rank(engine, *DOCUMENTS, top_n=2)
    assert list(best.indexes) == list(every.indexes[:2])
    assert len(rank(engine, *DOCUMENTS, top_n=100).indexes) == len(DOCUMENTS)
    assert list(rank(engine, "a", "a", "a").indexes) == [0, 1, 2]


def test_what_is_too_long_is_refused_or_read_as_far_as_it_fits(engine):
    long = "a " * 100
    with pytest.raises(ContextBudgetExceeded, match=r"documents\.1 has") as refused:
        rank(engine, "a", long)
    assert refused.value.details["budget"] == embedding_model.CONTEXT
    with pytest.raises(ContextBudgetExceeded, match="query has 103"):
        rank(engine, "a", query=long)
    cut = rank(engine, long, truncate=True)
    query_tokens = len(QUERY.replace(" ", ""))
    fitting = rank(engine, "a " * (embedding_model.CONTEXT - 3 - query_tokens))
    assert cut.tokens == embedding_model.CONTEXT
    assert np.abs(cut.scores - fitting.scores).max() < 1e-6
    assert rank(engine, long, query=long, truncate=True).tokens == embedding_model.CONTEXT


def test_many_tokens_at_once_have_a_bound(engine, monkeypatch):
    monkeypatch.setattr("workers.engines.rerank_engine.MOST_PAIR_TOKENS", 40)
    with pytest.raises(ValidationFailed, match="document 2 is one too many"):
        rank(engine, "abc", "abc", "abc")


def test_a_file_says_that_it_ranks(engine, file, tmp_path):
    assert kind_of(read_metadata(file)) is Kind.RERANK
    other = embedding_model.write(tmp_path / "mean.gguf")
    with pytest.raises(ModelLoadFailed, match="no cross-encoder"):
        loaded(other)
    with pytest.raises(ModelLoadFailed, match="names no pooling"):
        loaded(file, Kind.EMBEDDING)
    with pytest.raises(ModelLoadFailed, match="runs no cross-encoders"):
        registry.create_reranking("scripted", EngineOptions(1, cache_dir=None))


def test_a_cancelled_request_is_not_computed(engine):
    cancelled = threading.Event()
    cancelled.set()
    assert engine.rank(Reranking(QUERY, ("a",)), cancelled) is None
