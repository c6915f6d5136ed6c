"""The likeliest tokens of a row, and their log probabilities."""

import numpy as np
import pytest

from workers.contract.logprobs import LEAST_LOGPROB, Logprob, pack, unpack

pytest.importorskip("llama_cpp")

from workers.engines.llamacpp.token_logprobs import TokenLogprobs, likeliest


class Letters:
    """A vocabulary whose tokens are numbers."""

    def spelling(self, token):
        return str(token).encode()


@pytest.mark.parametrize("size", [1, 5, 63, 64, 65, 130, 4097])
@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_the_likeliest_are_those_of_the_highest_logits(size, count):
    logits = np.random.default_rng(size).normal(size=size).astype(np.float32)
    assert likeliest(logits, count) == np.argsort(-logits)[:count].tolist()


def test_the_chances_of_a_row_are_its_softmax():
    logits = np.log(np.array([0.5, 0.125, 0.25, 0.125], dtype=np.float32)) + 7
    packed = TokenLogprobs(Letters(), 2).of(logits, 1)
    chosen, *top = unpack(packed)
    assert (chosen.token_id, chosen.piece) == (1, b"1")
    assert [each.token_id for each in top] == [0, 2]
    assert np.exp([each.logprob for each in (chosen, *top)]) == pytest.approx(
        [0.125, 0.5, 0.25], abs=1e-4
    )


def test_a_token_that_cannot_come_has_a_finite_logprob():
    logits = np.array([0.0, -np.inf], dtype=np.float32)
    *_, last = unpack(TokenLogprobs(Letters(), 2).of(logits, 0))
    assert last.logprob == LEAST_LOGPROB


def test_bytes_that_are_no_text_survive_the_journey():
    sent = [Logprob(3, b"\xf0\x9f", -1.5), Logprob(4, "é".encode(), -2.0)]
    assert list(unpack(pack(sent))) == sent
