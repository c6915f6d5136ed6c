"""A cross-encoder on the service's engine, beside the bare library: a BERT of random weights with
the tokenizer of all-minilm-l6-v2, so that token types and cutting are a real one's.
"""

import shutil
import threading

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from presets.catalogue import Catalogue
from presets.kind import Kind
from presets.model import ModelSpec
from workers.contract.errors import ContextBudgetExceeded, ModelLoadFailed
from workers.contract.reranking import Reranking
from workers.engines import registry
from workers.engines.base import EngineOptions

BACKEND = "sentence-transformers"
QUERY = "What is the capital of France?"
DOCUMENTS = (
    "Paris is the capital of France.",
    "",
    "Straße in Köln, 中文, ébène",
    "word " * 60,
    "[SEP] odd    spaces\n\tand tabs",
)
CONTEXT = 128


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """One score, of a head whose numbers differ enough to be told apart."""
    return _written(tmp_path_factory.mktemp("models") / "random", classes=1)


def _written(path, *, classes):
    tokenizer = AutoTokenizer.from_pretrained(
        Catalogue.load(None, "llamacpp").get("all-minilm-l6-v2").path
    )
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=CONTEXT, num_labels=classes,
        initializer_range=0.2,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(path)
    tokenizer.model_max_length = CONTEXT
    tokenizer.save_pretrained(path)
    return path


def loaded(directory):
    engine = registry.create_reranking(BACKEND, EngineOptions(32, directory.parent, threads=1))
    spec = ModelSpec("random", directory, 8192, kind=Kind.RERANK, backend=BACKEND)
    engine.load(spec, lambda _: None)
    return engine


@pytest.fixture(scope="module")
def engine(directory):
    engine = loaded(directory)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def bare(directory):
    return CrossEncoder(str(directory), local_files_only=True)


def in_order(engine, *documents, query=QUERY, **options):
    """The scores by the documents' places."""
    ranking = engine.rank(Reranking(query, documents, **options), threading.Event())
    return ranking.scores[np.argsort(ranking.indexes)]


def test_scores_are_those_of_the_library(engine, bare):
    expected = bare.predict([(QUERY, text) for text in DOCUMENTS])
    assert np.ptp(expected) > 1e-3
    assert np.abs(in_order(engine, *DOCUMENTS * 20) - np.tile(expected, 20)).max() < 1e-4


@pytest.mark.parametrize(
    ("query", "words"), [(QUERY, 300), ("what " * 100, 100), ("what " * 300, 9)]
)
def test_a_pair_that_is_cut_is_cut_as_the_library_does(engine, bare, query, words):
    text = "one two three " * words
    assert engine.context_length == CONTEXT
    expected = bare.predict([(query, text)])
    assert np.abs(in_order(engine, text, query=query, truncate=True) - expected).max() < 1e-4
    with pytest.raises(ContextBudgetExceeded, match="128 tokens"):
        in_order(engine, text, query=query)


def test_what_gives_no_score_is_refused(tmp_path, directory):
    with pytest.raises(ModelLoadFailed, match="gives 3 classes"):
        loaded(_written(tmp_path / "three", classes=3))
    headless = tmp_path / "headless"
    shutil.copytree(directory, headless)
    config = headless / "config.json"
    config.write_text(config.read_text().replace("ForSequenceClassification", "Model"))
    with pytest.raises(ModelLoadFailed, match="no cross-encoder"):
        loaded(headless)
