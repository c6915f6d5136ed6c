"""all-minilm-l6-v2 on the service's engine, beside the bare library."""

import threading
from dataclasses import replace

import numpy as np
import openai
import pytest
from sentence_transformers import SentenceTransformer

from tests.support.service_fixture import service_fixture
from workers.contract.embedding import Embedding
from workers.contract.errors import ContextBudgetExceeded, ModelLoadFailed, ValidationFailed
from workers.engines import registry
from workers.engines.base import EngineOptions
from workers.engines.time_budget import TimeBudget

MODEL = "all-minilm-l6-v2"
#: Long and short ones together, so that some are filled up.
TEXTS = (
    "The capital of France is Paris.",
    "hello",
    "Straße in Köln, 中文, ébène",
    "def f(x): return x + 1",
    "word " * 200,
    "[SEP] <s> odd    spaces\n\tand tabs",
)

service = service_fixture(
    "The service with the model that embeds alone.",
    ready_within_s=180.0,  # PyTorch is imported
    INFERENCE_PRELOAD_MODELS=MODEL,
)


@pytest.fixture(scope="module")
def bare(spec):
    return SentenceTransformer(str(spec.path), local_files_only=True)


def embed(engine, *inputs, **options):
    return engine.embed(Embedding(inputs, **options), threading.Event())


def test_vectors_are_those_of_the_library(engine, bare):
    expected = bare.encode(list(TEXTS) * 20, normalize_embeddings=True)
    assert np.abs(embed(engine, *TEXTS * 20).vectors - expected).max() < 1e-4


def test_a_text_that_is_cut_is_cut_as_the_library_does(engine, bare):
    long = "one two three " * 300
    cut = embed(engine, long, truncate=True)
    assert np.abs(cut.vectors - bare.encode([long])).max() < 1e-4
    assert cut.tokens == engine.context_length == 256
    with pytest.raises(ContextBudgetExceeded, match="256 tokens"):
        embed(engine, long)


def test_ids_are_the_models_own(engine, bare):
    ids = tuple(bare.tokenizer.encode(TEXTS[0]))
    assert np.abs(embed(engine, ids).vectors - bare.encode([TEXTS[0]])).max() < 1e-4
    with pytest.raises(ValidationFailed, match="0 to 30521"):
        embed(engine, (101, 30_522, 102))


def test_tokens_are_counted_without_the_weights(engine, spec):
    tokenizer = registry.tokenizer(spec)
    for text in (*TEXTS, "", "word " * 2000):
        ids = tokenizer.of_text(text, TimeBudget(), add_special=True)
        assert ids == engine._encoder.tokenize(text)
    assert tokenizer.count("hello there") == 2
    assert tokenizer.text_of([7592, 2045]) == "hello there"


def test_a_directory_of_another_kind_is_refused(engine, spec, tmp_path):
    other = registry.create_embedding(spec.backend, EngineOptions(1, tmp_path))
    with pytest.raises(ModelLoadFailed, match="missing"):
        other.load(replace(spec, path=tmp_path, package=None), lambda _: None)


def test_over_http_they_are_the_same(service, bare):
    with openai.OpenAI(base_url=service.api_url, api_key="none", max_retries=0) as client:
        answer = client.embeddings.create(model=MODEL, input=list(TEXTS))
    vectors = np.array([entry.embedding for entry in answer.data])
    assert np.abs(vectors - bare.encode(list(TEXTS))).max() < 1e-4
    assert answer.usage.total_tokens == sum(len(bare.tokenizer.encode(text)) for text in TEXTS)
    nearest = vectors @ bare.encode("Which city is France's capital?")
    assert nearest.argmax() == 0
