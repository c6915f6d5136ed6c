"""One answer that is held to a grammar, as its worker follows it.

The masks are made in the process that samples, which can say nothing but tokens: one of them means
that an answer's mask cannot be made, or took too long.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from workers.contract.errors import ConstraintFailed
from workers.engines.answer_form import AnswerForm, Grammar
from workers.engines.constraint_masks import ConstraintMasks
from workers.engines.grammar_gate import GrammarGate, TokenRole
from workers.engines.vllm.pieces import Pieces

#: Seconds of CPU for compiling a grammar. It is compiled here first, and once more in the
#: process that samples while the prompt is read: what takes long would hold up its neighbours.
#: 128 KiB of properties take half of it.
COMPILE_CPU_S = 0.5


class HeldAnswer:
    """Follows the tokens of one answer. Used by its caller's thread."""

    def __init__(
        self,
        form: AnswerForm,
        grammar: Grammar,
        masks: ConstraintMasks,
        pieces: Pieces,
        produced: tuple[int, ...],
    ) -> None:
        """`grammar`: the one of the `form`; `produced`: by an earlier attempt.

        Raises:
            ValidationFailed: nothing can be held to the grammar.
            ConstraintFailed: compiling it takes too long, or `produced` does not follow it.
        """
        self._param = grammar.param
        began_s = time.thread_time()
        self._matcher = masks.compile(grammar)
        if time.thread_time() - began_s > COMPILE_CPU_S:
            raise self._failed(f"it takes longer than {COMPILE_CPU_S:g} s to compile")
        self._pieces = pieces
        self._gate = GrammarGate(pieces, form.before_grammar())
        self.take(produced)

    def take(self, tokens: Iterable[int]) -> None:
        """The tokens that come next.

        Raises:
            ConstraintFailed: they do not follow the grammar, or end the answer too early.
        """
        for token in tokens:
            if self._pieces.ends_turn(token):
                if not self._matcher.is_accepting() and not self._matcher.is_stopped():
                    raise self._failed("it ends too early")
                return
            if token == self._pieces.failure:
                raise self._failed(
                    "a mask cannot be made, or they took more time than one answer has for them"
                )
            role = self._gate.take(token)
            if role is TokenRole.NEITHER or (
                role is TokenRole.CONTENT and not self._matcher.consume_token(token)
            ):
                raise self._failed("a token does not follow it")

    def _failed(self, why: str) -> ConstraintFailed:
        return ConstraintFailed(
            f"The answer could not be held to {self._param}: {why}.",
            details={"param": self._param, "reason": why},
        )
