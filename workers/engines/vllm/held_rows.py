"""Answers that are held to a grammar: a mask over the logits of each.

Runs in the process that samples. An answer that goes on after a crash has the tokens of the
earlier attempt in its prompt; its mask is the one after them. vLLM's own structured outputs begin
with the request, know nothing of thoughts before the content, and have no bounds of ours.
An answer that may call tools is free until it opens a call; no mask is made for it before.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Ids
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import torch
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.distributed import get_tensor_model_parallel_rank
from vllm.tokenizers import cached_tokenizer_from_config
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from presets.model import Reasoning
from workers.contract.errors import InferenceError
from workers.engines import reasoning
from workers.engines.answer_form import AnswerForm, Grammar
from workers.engines.banned_ends import BannedEnds
from workers.engines.call_hold import CallHold
from workers.engines.constraint_masks import START_CPU_S, WAIT_S, ConstraintMasks
from workers.engines.grammar_gate import GrammarGate, TokenRole
from workers.engines.vllm.pieces import BeforeContent, Pieces, Words, words
from workers.engines.vllm.vocabulary import Vocabulary

_Result = TypeVar("_Result")

log = logging.getLogger(__name__)

#: Where a model's `additional_config` has the tags that are text in its answers.
TAGS = "text_tags"
#: What stands for a token that is sampled and not known yet.
_PENDING = -1
#: Masks that are made at once.
_MOST_THREADS = 16


@dataclass(frozen=True, slots=True)
class HeldTo:
    """To what an answer is held, and after which tokens; travels in `extra_args`."""

    #: Its name there.
    ARGUMENT: ClassVar[str] = "held_to"

    #: `AnswerForm.to_dict()`.
    form: Mapping[str, Any]
    #: The token by which a row says that it has failed.
    failure: int
    #: The tokens of an earlier attempt.
    produced: tuple[int, ...] = ()
    #: Tokens that may not end the answer, unless nothing else may follow:
    never_ends: tuple[int, ...] = ()
    #: these up to so many more tokens of it.
    early_ends: tuple[int, ...] = ()
    early_tokens: int = 0

    @classmethod
    def of(
        cls, form: AnswerForm, failure: int, produced: tuple[int, ...], ends: BannedEnds
    ) -> HeldTo | None:
        """To what an answer of this form is held; None: to nothing at all."""
        if form.grammar is None and form.calls is None:
            return None
        never, early = tuple(ends.always), tuple(ends.early)
        return cls(form.to_dict(), failure, produced, never, early, ends.left)


class Model:
    """What all held answers of one model share, in the process that samples."""

    def __init__(self, config: VllmConfig) -> None:
        threads = min(_MOST_THREADS, config.scheduler_config.max_num_seqs)
        self.pool = ThreadPoolExecutor(threads, "begin-mask")
        model = config.model_config
        vocabulary = Vocabulary(
            str(model.served_model_name),
            cached_tokenizer_from_config(model),
            model.try_get_generation_config(),
            config.additional_config.get(TAGS, ()),
        )
        self.masks = ConstraintMasks(lambda: vocabulary.tree(model.get_vocab_size()), threads)
        self.pieces = Pieces(vocabulary, self.masks.tree)
        # Processes that share a model each choose the tokens, and must choose the same ones. Time
        # is measured in the one whose tokens are the answer; the others follow it.
        self.cpu_s = START_CPU_S if get_tensor_model_parallel_rank() == 0 else float("inf")
        self.wait_s = WAIT_S if get_tensor_model_parallel_rank() == 0 else None
        self._before: dict[Reasoning, BeforeContent] = {}

    def before_content(self, form: Reasoning) -> BeforeContent:
        """What may come before the content, by the form of the model's thinking."""
        if form not in self._before:
            self._before[form] = BeforeContent(self.pieces, reasoning.tags(form))
        return self._before[form]


class Hold(Protocol):
    """What one answer is held by, as it goes on. What it raises ends the answer."""

    def take(self, token: int) -> None:
        """The token that comes next."""

    def is_ready(self, wait_s: float | None) -> bool:
        """Whether it is known what may come next; waits at most so long, None: until it is."""

    def allowed(self, likeliest: Callable[[], int]) -> Words | None:
        """What may come next; None: anything. `likeliest`: see `BeforeContent.allowed`."""


class ContentHold:
    """Holds an answer from its content on."""

    def __init__(self, model: Model, form: AnswerForm, grammar: Grammar, early: Ids[int]) -> None:
        """`grammar`: the one of the `form`; `early`: the tokens that are there already."""
        self._gate = GrammarGate(model.pieces, form.before_grammar())
        content = [token for token in early if self._gate.take(token) is TokenRole.CONTENT]
        self._before = None
        if form.reasoning is not None and not form.covers_thought:
            self._before = model.before_content(form.reasoning)
        self._mask = model.masks.begin(grammar, content, model.cpu_s)

    def take(self, token: int) -> None:
        """See `Hold.take`."""
        if self._gate.take(token) is TokenRole.CONTENT:
            self._mask.take(token)

    def is_ready(self, wait_s: float | None) -> bool:
        """See `Hold.is_ready`."""
        return self._mask.is_ready(wait_s)

    def allowed(self, likeliest: Callable[[], int]) -> Words:
        """See `Hold.allowed`."""
        if self._gate.passed or self._before is None:
            return self._mask.words
        return self._before.allowed(self._gate, self._mask.words, likeliest)


class OpenedHold(CallHold):
    """Holds an answer from where it opens a call."""

    def allowed(self, _likeliest: Callable[[], int]) -> Words | None:
        """See `Hold.allowed`."""
        return None if self.mask is None else self.mask.words


class HeldRow:
    """One answer: what holds it, and which of its tokens that has seen."""

    def __init__(self, model: Model, held: HeldTo, output_ids: list[int]) -> None:
        """`output_ids`: the tokens of this attempt; vLLM goes on writing to it."""
        self._model = model
        self._held = held
        self._form = AnswerForm.from_dict(held.form)
        self._ids = output_ids
        #: Tokens that it has already: vLLM takes an answer out of its batch and in again.
        self._early = tuple(token for token in output_ids if token != _PENDING)
        self._taken = len(self._early)
        self._failed = False
        # Compiling takes the longest: the prompt is read meanwhile.
        self._begun: Future[Hold] = model.pool.submit(self._begin)

    def follow(self) -> None:
        """Go on after the tokens that are known by now; the mask after them is begun."""
        if self._begun.done():
            self._guard(self._follow)

    def words(self, likeliest: Callable[[], int]) -> Words | None:
        """What may come next, None: anything; waits until it is known. Where it cannot be, a token
        by which the answer's worker knows that, and ends it. `likeliest`: see
        `BeforeContent.allowed`.
        """
        allowed = self._guard(lambda: self._allowed(likeliest))
        if self._failed and self._form.grammar is not None:
            return words((self._held.failure,), self._model.masks.tree.vocab_size)
        return allowed

    def _guard(self, work: Callable[[], _Result]) -> _Result | None:
        try:
            return None if self._failed else work()
        except InferenceError as error:
            log.warning("an answer is ended: %s", error.message)
        except Exception:
            # It must not end the process, which decodes for all.
            log.exception("an answer's mask cannot be made")
        self._failed = True
        return None

    def _begin(self) -> Hold:
        model, form = self._model, self._form
        early = (*self._held.produced, *self._early)
        if form.grammar is not None:
            return ContentHold(model, form, form.grammar, early)
        if form.calls is None:
            raise RuntimeError("nothing holds this answer")
        hold = OpenedHold(model.pieces, model.masks, form, form.calls, model.cpu_s)
        hold.take_all(early)
        return hold

    def _follow(self) -> Hold:
        hold = self._begun.result(self._model.wait_s)
        while self._taken < len(self._ids) and (token := self._ids[self._taken]) != _PENDING:
            self._taken += 1
            self._await(hold)
            hold.take(token)
        return hold

    def _allowed(self, likeliest: Callable[[], int]) -> Words | None:
        hold = self._follow()
        self._await(hold)
        return self._going_on(hold.allowed(likeliest))

    def _going_on(self, allowed: Words | None) -> Words | None:
        """What is allowed without what would end the answer too early, if anything is left."""
        held = self._held
        early = held.early_ends if len(self._ids) < held.early_tokens else ()
        banned = (*held.never_ends, *early)
        if not banned:
            return allowed
        size = self._model.masks.tree.vocab_size
        if allowed is None:
            allowed = words(range(size), size)
        left = allowed & ~words(banned, size)
        return left if left.any() else allowed

    def _await(self, hold: Hold) -> None:
        while not hold.is_ready(self._model.wait_s):
            pass  # it raises once the mask has had its time


class HeldRows(LogitsProcessor):  # type: ignore[misc]
    """What vLLM loads into the process that samples; does nothing for answers that are free."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        """See vLLM's interface. The vocabulary is read here: no answer waits for it."""
        self._model = Model(vllm_config)
        self._rows: dict[int, HeldRow] = {}
        self._bits = torch.arange(32, dtype=torch.int32, device=device)

    def is_argmax_invariant(self) -> bool:
        """False: a mask changes which token is the most likely."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Take the changes of the batch; masks that can be made are begun, beside the decoding."""
        process_dict_updates(self._rows, batch_update, self._row)
        for row in self._rows.values():
            row.follow()

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Leave the allowed tokens of held answers, in place."""
        if not self._rows:
            return logits
        for row in self._rows.values():
            row.follow()
        held = {
            index: mask
            for index, row in self._rows.items()
            if (mask := row.words(functools.partial(_likeliest, logits, index))) is not None
        }
        if not held:
            return logits
        packed = torch.from_numpy(np.stack([*held.values()])).to(logits.device, non_blocking=True)
        allowed = ((packed.unsqueeze(-1) >> self._bits) & 1).bool().flatten(1)
        rows = torch.tensor(list(held), device=logits.device)
        width = logits.shape[1]
        if allowed.shape[1] < width:
            allowed = torch.nn.functional.pad(allowed, (0, width - allowed.shape[1]))
        logits[rows] = logits[rows].masked_fill(~allowed[:, :width], float("-inf"))
        return logits

    def _row(
        self, params: SamplingParams, _prompt_ids: list[int] | None, output_ids: list[int]
    ) -> HeldRow | None:
        held = (params.extra_args or {}).get(HeldTo.ARGUMENT)
        return HeldRow(self._model, HeldTo(**held), output_ids) if held else None


def _likeliest(logits: torch.Tensor, row: int) -> int:
    return int(logits[row].argmax())
