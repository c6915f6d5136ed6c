"""Drafts change no answer: the scheduler with llama.cpp's samplers, on a model of a few letters.

Its logits depend on the last two tokens alone and on no shape of a batch, so that with one seed the
answers with and without drafts are the same tokens.
"""

import functools
import itertools
import threading
from concurrent.futures import Future

import numpy as np
import pytest

from presets.model import Reasoning
from workers.contract.sampling import Sampling
from workers.engines.answer_form import AnswerForm
from workers.engines.base import GenerationRequest
from workers.engines.llamacpp.batches import BatchEntry
from workers.engines.llamacpp.drafts import Drafts
from workers.engines.llamacpp.held_sampling import HeldSampler
from workers.engines.llamacpp.prefill_chunks import PrefillChunks
from workers.engines.llamacpp.prefixes import Prefixes
from workers.engines.llamacpp.prompt_cache import PromptCache
from workers.engines.llamacpp.prompt_lookup import Draft, PromptLookup
from workers.engines.llamacpp.sampler_chain import History
from workers.engines.llamacpp.scheduler import Scheduler
from workers.engines.llamacpp.sequence import Sequence
from workers.engines.llamacpp.step_times import StepTimes

#: The last token ends the turn.
LETTERS = "abcdef<>."
END = len(LETTERS) - 1
CONTEXT = 30_000


@functools.cache
def logits_after(before):
    """Of each token after these: the next letter is likely, whatever else may come."""
    seed = sum(token * 31**place for place, token in enumerate(before))
    logits = np.random.default_rng(seed).normal(size=len(LETTERS)).astype(np.float32)
    logits[(before[-1] + 1) % 6] += 3
    logits[END] -= 3
    logits.flags.writeable = False
    return logits


class ToyContext:
    """Cells with the tokens themselves; refuses what a pool of llama.cpp would not take."""

    pointer = None

    def __init__(self, room=CONTEXT):
        self.cells = {}
        self.room = room
        self.rows = []
        self.wide_steps = self.refused = 0
        self.may_begin = threading.Event()

    def clear_batch(self):
        self.batch = []

    def add(self, token, position, sequence, *, wants_logits):
        self.batch.append((token, position, sequence, wants_logits))
        return len(self.batch) - 1

    def decode(self):
        self.may_begin.wait(60)
        if sum(map(len, self.cells.values())) + len(self.batch) > self.room:
            self.refused += 1
            return 1
        self.rows = []
        for token, position, sequence, wants_logits in self.batch:
            cells = self.cells.setdefault(sequence, [])
            assert position == len(cells)
            cells.append(token)
            self.rows.append(tuple(cells[-2:]) if wants_logits else None)
        self.wide_steps += len(self.batch) > len({entry[2] for entry in self.batch})
        return 0

    def logits(self, row):
        assert self.rows[row] is not None
        return logits_after(self.rows[row])

    def truncate(self, sequence, length):
        del self.cells[sequence][length:]
        return True

    def share(self, source, target, length):
        self.cells[target] = self.cells[source][:length]

    def drop(self, sequence):
        self.cells.pop(sequence, None)

    def state_bytes(self, sequence):
        return 1


class Letters:
    """The vocabulary."""

    pointer = None
    size = len(LETTERS)
    ends = frozenset({END})

    def piece(self, token):
        return b"" if token == END else LETTERS[token].encode()

    spelling = piece

    def ends_turn(self, token):
        return token == END


class Free(HeldSampler):
    """A chain of llama.cpp that is given its logits."""

    _mask = None

    def _is_ready(self, wait_s):
        return True

    def _sample(self, logits):
        token = self._choose(self._candidates(logits, self._allowed()))
        self._remember(token, logits)
        return token


class EveryOther:
    """A mask: no two tokens in a row are both even or both odd. It is late at every third."""

    def __init__(self):
        self.last, self.asked = 0, itertools.count()
        self.pending = Future()
        self.pending.set_result(None)

    def is_ready(self):
        return bool(next(self.asked) % 3)

    def allowed(self):
        return np.arange(1 - self.last % 2, len(LETTERS), 2, dtype=np.int32)

    def close(self):
        pass


class Held(Free):
    """The same, held to a mask."""

    def __init__(self, *args):
        super().__init__(*args)
        self._late = EveryOther()

    @property
    def _mask(self):
        return self._late

    def _is_ready(self, wait_s):
        return self._late.is_ready()

    def _sample(self, logits):
        token = super()._sample(logits)
        self._late.last = token
        return token


@pytest.fixture
def rows_are_free(monkeypatch):
    monkeypatch.setattr(StepTimes, "of", lambda times, rows: np.ones(len(rows)))


def sequence(sampling, *, drafts, name="one", sampler=Free, form=None, produced=(), prediction=()):
    prompt = [LETTERS.index(letter) for letter in "abcdefabcdabcfed"]
    letters = Letters()
    history = History(prompt, produced, CONTEXT)
    request = GenerationRequest(id=name, messages=(), sampling=sampling, produced=produced)
    lookup = PromptLookup([*prompt, *produced], prediction, produced=len(produced))
    return Sequence(
        request,
        prompt,
        sampler(sampling, letters, history),
        letters,
        CONTEXT,
        threading.Event(),
        form or AnswerForm(),
        lookup if drafts else None,
    )


def run(*sequences, room=CONTEXT):
    """The deltas of sequences that run together, and their context."""
    context = ToyContext(room)
    scheduler = Scheduler(
        context,
        Prefixes(context, 8, PromptCache(0), forgets=False),
        concurrency=8,
        kv_tokens=room,
        chunks=PrefillChunks(most=2048),
        drafts=Drafts(enabled=True),
    )
    scheduler.start()
    for each in sequences:
        scheduler.submit(each)
    context.may_begin.set()
    deltas = [list(each.read()) for each in sequences]
    scheduler.stop()
    return deltas, context


def ids(deltas):
    return [token for delta in deltas for token in delta.token_ids]


#: Nothing is left out.
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
THINKS = AnswerForm(Reasoning("tags", "<", ">"))


@pytest.mark.usefixtures("rows_are_free")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("asked", "more"),
    [
        ({"temperature": 0.0}, {}),
        ({}, {}),
        ({"temperature": 0.7, "top_k": 3, "min_p": 0.1}, {}),
        ({"frequency_penalty": 0.3, "repetition_penalty": 1.2}, {}),
        ({"logit_bias": ((0, 4.0),)}, {}),
        ({"xtc_probability": 0.5}, {}),
        ({"stop": ("efa", "cda")}, {}),
        ({"stop_token_ids": (3,), "min_tokens": 9}, {}),
        ({"stop_token_ids": (5,), "include_stop_str_in_output": True}, {}),
        ({"ignore_eos": True, "max_tokens": 7}, {}),
        ({"logprobs": 2}, {}),
        ({}, {"form": THINKS}),
        ({}, {"sampler": Held}),
        ({"stop": ("ab",)}, {"sampler": Held, "form": THINKS}),
        ({}, {"produced": (0, 1, 2, 3, 4, 5, 0, 1)}),
        ({}, {"prediction": (0, 1, 2, 3, 4, 5) * 20}),
    ],
    ids=lambda given: ",".join(given) or "plain",
)
def test_an_answer_is_the_same_with_drafts(asked, more, seed):
    sampling = Sampling(**{**PLAIN, "max_tokens": 60, "seed": seed, **asked})
    answers = []
    for drafts in (False, True):
        [deltas], context = run(sequence(sampling, drafts=drafts, **more))
        shown = [
            (delta.text, delta.reasoning, delta.token_ids, delta.logprobs, delta.content_tokens)
            for delta in deltas
        ]
        last = deltas[-1]
        answers.append((shown, last.finish_reason, last.usage.completion_tokens))
        assert not drafts or context.wide_steps or len(ids(deltas)) < 12
        assert not context.cells
    assert answers[0] == answers[1]


@pytest.mark.usefixtures("rows_are_free")
def test_answers_that_run_together_are_those_of_each_alone():
    asked = [Sampling(**PLAIN, max_tokens=80, seed=seed) for seed in range(6)]
    names = "uvwxyz"
    together, context = run(
        *(sequence(s, drafts=True, name=n) for s, n in zip(asked, names, strict=True))
    )
    assert context.wide_steps
    for sampling, deltas in zip(asked, together, strict=True):
        assert ids(deltas) == ids(run(sequence(sampling, drafts=False))[0][0])


@pytest.mark.usefixtures("rows_are_free")
def test_answers_that_make_room_for_each_other_are_those_of_each_alone():
    asked = [Sampling(**PLAIN, max_tokens=80, ignore_eos=True, seed=seed) for seed in range(4)]
    names = "uvwx"
    together, context = run(
        *(sequence(s, drafts=True, name=n) for s, n in zip(asked, names, strict=True)), room=200
    )
    assert context.refused
    assert not context.cells
    for sampling, deltas in zip(asked, together, strict=True):
        assert ids(deltas) == ids(run(sequence(sampling, drafts=False))[0][0])


def test_at_temperature_1_tokens_come_as_often_as_the_model_has_them():
    """A chi-squared test of 20,000 tokens: the first of each step, and those after drafted ones."""
    drafted = (1, 2, 3)
    context = ToyContext()
    context.rows = [(5, 0), (0, 1), (1, 2), (2, 3)]
    one = sequence(Sampling(**PLAIN, seed=7), drafts=False)
    one.draft = Draft(drafted)
    entry = BatchEntry(one, 1, 0)
    seen = np.zeros((len(context.rows), len(LETTERS)))
    while seen.sum() < 20_000:
        for place, token in enumerate(entry.sample(context)):
            seen[place, token] += 1
    one.sampler.free()
    chances = np.exp([logits_after(row) for row in context.rows])
    expected = seen.sum(axis=1, keepdims=True) * chances / chances.sum(axis=1, keepdims=True)
    assert expected.min() > 1
    # A row is sampled as often as the drafted token before it came.
    assert list(seen.sum(axis=1)[1:]) == [seen[at, token] for at, token in enumerate(drafted)]
    distance = ((seen - expected) ** 2 / expected).sum()
    freedom = len(context.rows) * (len(LETTERS) - 1)
    # Its standard deviation is the root of twice the degrees of freedom.
    assert distance < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.usefixtures("rows_are_free")
def test_usage_counts_what_was_predicted():
    greedy = Sampling(temperature=0.0, max_tokens=40)
    [plain], _ = run(sequence(greedy, drafts=False))
    answer = ids(plain)
    predicted = (*answer[:20], 6, *answer[21:40])
    [deltas], _ = run(sequence(greedy, drafts=True, prediction=predicted))
    usage = deltas[-1].usage
    assert ids(deltas) == answer
    assert usage.accepted_prediction_tokens > 20
    assert 1 <= usage.rejected_prediction_tokens < 16
    assert usage.completion_tokens == len(answer)
