"""Calls of a free answer in the process that samples, without its model: over the tokenizer."""

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoTokenizer

from tests.support.tools import CALL, offered
from workers.contract.sampling import Sampling
from workers.engines.answer_form import AnswerForm, Calls
from workers.engines.banned_ends import BannedEnds
from workers.engines.constraint_masks import ConstraintMasks
from workers.engines.tool_calls import registry
from workers.engines.vllm.held_rows import HeldRow, HeldRows, HeldTo
from workers.engines.vllm.pieces import Pieces
from workers.engines.vllm.vocabulary import Vocabulary

END = 2


@pytest.fixture(scope="module")
def model(models_dir):
    """What rows share, as `held_rows.Model` has it."""
    tokenizer = AutoTokenizer.from_pretrained(models_dir / "smollm2-135m")
    vocabulary = Vocabulary("m", tokenizer, {"eos_token_id": [END]})
    masks = ConstraintMasks(lambda: vocabulary.tree(49152), threads=2)
    pool = ThreadPoolExecutor(1)
    yield SimpleNamespace(
        masks=masks, pieces=Pieces(vocabulary, masks.tree), pool=pool, cpu_s=0.25, wait_s=5.0,
        vocabulary=vocabulary,
    )  # fmt: skip
    pool.shutdown()
    masks.close()


def rows(model, ids, *, produced=(), **sampling):
    """vLLM's processor with one answer that may call, and what is sampled of it by now."""
    calls = Calls(registry.families()["hermes"], offered(), "id")
    ends = BannedEnds(Sampling(**sampling), frozenset({END}), len(produced))
    held = HeldTo.of(AnswerForm(calls=calls), model.vocabulary.failure, tuple(produced), ends)
    made = HeldRows.__new__(HeldRows)
    made._model = model
    made._rows = {1: HeldRow(model, held, ids)}
    made._bits = torch.arange(32, dtype=torch.int32)
    return made


def allowed(made):
    """The tokens that may come next; the answer beside it is free."""
    logits = made.apply(torch.zeros(2, 49152))
    assert not logits[0].isinf().any()
    return set(torch.isfinite(logits[1]).nonzero().flatten().tolist())


def test_nothing_is_masked_before_a_call_opens_and_the_schema_holds_after_it(model):
    ids = []
    made = rows(model, ids)
    opened = False
    for token in model.vocabulary.tokenize(f"Well. <tool_call>\n{CALL}\n</tool_call>"):
        may_come = allowed(made)
        assert token in may_come
        opened = opened or len(may_come) < 49152
        assert opened == ("<tool_call>" in model.vocabulary.text(ids))
        ids.append(token)
    assert END in allowed(made)


@pytest.mark.parametrize("cut", [3, 8, 14, 20])
def test_it_goes_on_after_an_earlier_attempt(model, cut):
    ids = model.vocabulary.tokenize(f"<tool_call>\n{CALL}\n</tool_call>")
    made = rows(model, taken := [], produced=ids[:cut])
    for token in ids[cut:]:
        assert token in allowed(made)
        taken.append(token)
    begun = model.vocabulary.text(ids[:cut])
    if "<tool_call>" in begun:
        wrong = model.vocabulary.tokenize("!!")[0]
        assert wrong not in allowed(rows(model, [], produced=ids[:cut])) or '"' in begun


def test_an_answer_that_may_not_end_yet_goes_on_before_a_call(model):
    made = rows(model, [], ignore_eos=True)
    assert allowed(made) == set(range(49152)) - {END}


def test_it_travels(model):
    held = rows(model, [])._rows[1]._held
    arrived = AnswerForm.from_dict(json.loads(json.dumps(held.form)))
    assert arrived == AnswerForm.from_dict(held.form)
    assert arrived.calls.tools == offered()
