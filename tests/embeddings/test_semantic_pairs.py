"""The semantic cache on 200 pairs of questions: half of them ask the same, half nearly so."""

import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from orchestration.semantic.fingerprint import fingerprint
from workers.contract.embedding import Embedding
from workers.settings import read

PAIRS = [json.loads(line) for line in (Path(__file__).parent / "pairs.jsonl").open()]
SAME = "paraphrase"
#: Right hits of 100, as docs/CACHES.md tells.
RIGHT = 45


@pytest.fixture(scope="module")
def cosines(engine):
    texts = [pair[name] for name in ("first", "second") for pair in PAIRS]
    vectors = engine.embed(Embedding(tuple(texts)), threading.Event()).vectors
    return (vectors[: len(PAIRS)] * vectors[len(PAIRS) :]).sum(axis=1)


@pytest.fixture(scope="module")
def hits(cosines):
    """The pairs of which one question is answered as the other was, at the default threshold."""
    threshold = read({}, env_file=None).semantic_cache_threshold
    return [
        pair
        for pair, cosine in zip(PAIRS, cosines, strict=True)
        if cosine >= threshold and fingerprint(pair["first"]) == fingerprint(pair["second"])
    ]


def test_there_are_200_of_every_kind():
    kinds = Counter(pair["kind"] for pair in PAIRS)
    assert (len(PAIRS), kinds[SAME]) == (200, 100)
    assert {"number", "name", "negation", "unit", "language", "code", "quote"} <= {*kinds}
    assert len({(pair["first"], pair["second"]) for pair in PAIRS}) == 200


def test_no_question_gets_the_answer_to_another(hits):
    assert [pair for pair in hits if pair["kind"] != SAME] == []


def test_as_many_are_right_as_the_page_says(hits):
    assert len(hits) == RIGHT
    page = (Path(__file__).parents[2] / "docs" / "CACHES.md").read_text()
    assert f"{RIGHT} of 100" in page


def test_vectors_alone_would_be_wrong(cosines):
    """So the rules are needed, and the pairs are hard enough to tell."""
    near = [cosine for pair, cosine in zip(PAIRS, cosines, strict=True) if pair["kind"] != SAME]
    assert sum(cosine >= 0.95 for cosine in near) > 20
