"""Answers that are held to a constraint: a mask over the logits of each.

Runs in the process that samples. An answer that goes on after a crash has the tokens of the
earlier attempt in its prompt; its mask is the one after them. vLLM's own structured outputs begin
with the request, know nothing of thoughts before the content, and have no bounds of ours.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.distributed import get_tensor_model_parallel_rank
from vllm.tokenizers import cached_tokenizer_from_config
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from presets.model import Reasoning
from workers.contract.constraint import Constraint
from workers.contract.errors import InferenceError
from workers.engines import reasoning
from workers.engines.constraint_masks import START_CPU_S, WAIT_S, ConstraintMasks, Mask
from workers.engines.grammar_gate import GrammarGate, TokenRole
from workers.engines.vllm.pieces import BeforeContent, Pieces, Words, words
from workers.engines.vllm.vocabulary import Vocabulary

_Result = TypeVar("_Result")

log = logging.getLogger(__name__)

#: What stands for a token that is sampled and not known yet.
_PENDING = -1
#: Masks that are made at once.
_MOST_THREADS = 16


@dataclass(frozen=True, slots=True)
class HeldTo:
    """What an answer is held to, from which token on; travels in `extra_args`."""

    #: Its name there.
    ARGUMENT: ClassVar[str] = "held_to"

    #: `Constraint.to_dict()`.
    constraint: Mapping[str, Any]
    #: The token by which a row says that it has failed.
    failure: int
    #: The tokens of an earlier attempt.
    produced: tuple[int, ...] = ()
    #: The fields of the model's `Reasoning`; None: it does not think.
    reasoning: Mapping[str, str] | None = None
    #: The rendered prompt of a model that thinks: its end says whether a thought is open.
    prompt: str = ""
    #: Tokens that may not end the answer, unless nothing else may follow:
    never_ends: tuple[int, ...] = ()
    #: these up to so many more tokens of it.
    early_ends: tuple[int, ...] = ()
    early_tokens: int = 0


class Model:
    """What all held answers of one model share, in the process that samples."""

    def __init__(self, config: VllmConfig) -> None:
        self._config = config
        threads = min(_MOST_THREADS, config.scheduler_config.max_num_seqs)
        self.pool = ThreadPoolExecutor(threads, "begin-mask")
        self.masks = ConstraintMasks(
            lambda: self._vocabulary(()).tree(config.model_config.get_vocab_size()), threads
        )
        # Processes that share a model each choose the tokens, and must choose the same ones. Time
        # is measured in the one whose tokens are the answer; the others follow it.
        self.cpu_s = START_CPU_S if get_tensor_model_parallel_rank() == 0 else float("inf")
        self.wait_s = WAIT_S if get_tensor_model_parallel_rank() == 0 else None
        self._before: dict[Reasoning, tuple[Pieces, BeforeContent]] = {}

    def before_content(self, form: Reasoning) -> tuple[Pieces, BeforeContent]:
        """What may come before the content, by the form of the model's thinking."""
        if form not in self._before:
            tags = reasoning.tags(form)
            pieces = Pieces(self._vocabulary(tags), self.masks.tree)
            self._before[form] = pieces, BeforeContent(pieces, tags)
        return self._before[form]

    def _vocabulary(self, visible: tuple[str, ...]) -> Vocabulary:
        model = self._config.model_config
        return Vocabulary(
            str(model.served_model_name),
            cached_tokenizer_from_config(model),
            model.try_get_generation_config(),
            visible,
        )


class HeldRow:
    """One answer: its mask, and where in it the content begins."""

    def __init__(self, model: Model, held: HeldTo, output_ids: list[int]) -> None:
        """`output_ids`: the tokens of this attempt; vLLM goes on writing to it."""
        self._model = model
        self._held = held
        self._ids = output_ids
        #: Tokens that it has already: vLLM takes an answer out of its batch and in again.
        self._early = tuple(token for token in output_ids if token != _PENDING)
        self._taken = len(self._early)
        self._gate: GrammarGate | None = None
        self._before: BeforeContent | None = None
        self._failed = False
        # Compiling takes the longest: the prompt is read meanwhile.
        self._begun: Future[Mask] = model.pool.submit(self._begin)

    def follow(self) -> None:
        """Go on after the tokens that are known by now; the mask after them is begun."""
        if self._begun.done():
            self._guard(self._follow)

    def words(self, likeliest: Callable[[], int]) -> Words:
        """What may come next; waits until it is known. Where it cannot be, a token by which the
        answer's worker knows that, and ends it. `likeliest`: see `BeforeContent.allowed`.
        """
        allowed = self._guard(lambda: self._allowed(likeliest))
        if allowed is None:
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

    def _begin(self) -> Mask:
        held = self._held
        content = list(early := (*held.produced, *self._early))
        if held.reasoning is not None:
            form = Reasoning(**held.reasoning)
            pieces, self._before = self._model.before_content(form)
            gate = self._gate = GrammarGate(pieces, reasoning.splitter(form, held.prompt))
            content = [t for t in early if gate.take(t) is TokenRole.CONTENT]
        constraint = Constraint.from_dict(held.constraint)
        return self._model.masks.begin(constraint, content, self._model.cpu_s)

    def _follow(self) -> Mask:
        mask = self._begun.result(self._model.wait_s)
        while self._taken < len(self._ids) and (token := self._ids[self._taken]) != _PENDING:
            self._taken += 1
            if self._gate is None or self._gate.take(token) is TokenRole.CONTENT:
                self._await(mask)
                mask.take(token)
        return mask

    def _allowed(self, likeliest: Callable[[], int]) -> Words:
        mask = self._follow()
        self._await(mask)
        if self._gate is None or self._gate.passed or self._before is None:
            return self._going_on(mask.words)
        return self._before.allowed(self._gate, mask.words, likeliest)

    def _going_on(self, allowed: Words) -> Words:
        """What is allowed without what would end the answer too early, if anything is left."""
        held = self._held
        early = held.early_ends if len(self._ids) < held.early_tokens else ()
        banned = (*held.never_ends, *early)
        if not banned:
            return allowed
        left = allowed & ~words(banned, self._model.masks.tree.vocab_size)
        return left if left.any() else allowed

    def _await(self, mask: Mask) -> None:
        while not mask.is_ready(self._model.wait_s):
            pass  # it raises once the mask has had its time


class HeldRows(LogitsProcessor):  # type: ignore[misc]
    """What vLLM loads into the process that samples; does nothing for answers that are free."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        """See vLLM's interface. The vocabulary is read here: no answer waits for it."""
        self._model = Model(vllm_config)
        _ = self._model.masks.tree
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
        stacked = np.stack(
            [
                row.words(functools.partial(_likeliest, logits, index))
                for index, row in self._rows.items()
            ]
        )
        packed = torch.from_numpy(stacked).to(logits.device, non_blocking=True)
        allowed = ((packed.unsqueeze(-1) >> self._bits) & 1).bool().flatten(1)
        rows = torch.tensor(list(self._rows), device=logits.device)
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
