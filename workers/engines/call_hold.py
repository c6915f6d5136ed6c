"""One answer's calls, held to their grammar from where the answer opens them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from workers.contract.errors import InferenceError
from workers.engines.answer_form import AnswerForm, Calls, Grammar
from workers.engines.constraint_masks import START_CPU_S, ConstraintMasks, Mask
from workers.engines.grammar_gate import Vocabulary
from workers.engines.text import TextAssembler

log = logging.getLogger(__name__)


class CallHold:
    """Follows an answer, which is free until it opens a call.

    Until then a token costs what reading its text costs: no mask is made. An answer that could have
    been a text never fails over a call: where no mask can be made it is free again.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        masks: ConstraintMasks,
        form: AnswerForm,
        calls: Calls,
        cpu_s: float = START_CPU_S,
    ) -> None:
        """`calls`: those of the `form`; `cpu_s`: what their masks may take at their start."""
        self._vocabulary = vocabulary
        self._masks = masks
        self._calls = calls
        self._cpu_s = cpu_s
        self._parser = calls.parser()
        self._text = TextAssembler((), form.splitter(), self._parser)
        self._tokens: list[int] = []
        _ = masks.tree  # made here, where an answer begins, and not on the thread that decodes
        #: The tokens that may come next; None: any.
        self.mask: Mask | None = None

    def take_all(self, tokens: Sequence[int]) -> None:
        """The tokens that are there already; a mask after them is made on the present thread."""
        for place, token in enumerate(tokens):
            if self.mask is None and (held := self._opened_by(token)):
                try:
                    rest = tokens[place + 1 :]
                    self.mask = self._masks.begin(self._grammar()(), (*held, *rest), self._cpu_s)
                except InferenceError as error:
                    self._release(error)
            elif self.mask is not None:
                self._opened_by(token)

    def take(self, token: int) -> None:
        """The token that comes next; where there is a mask, one that it allows."""
        held = self._opened_by(token)
        if self.mask is not None:
            self.mask.take(token)
        elif held:
            # Not on the thread that decodes: to compile the schemas of many tools takes a while.
            self.mask = self._masks.begin_beside(self._grammar(), "tools", held, self._cpu_s)

    def is_ready(self, wait_s: float | None) -> bool:
        """Whether it is known what may come next; waits at most so long, None: until it is."""
        try:
            return self.mask is None or self.mask.is_ready(wait_s)
        except InferenceError as error:
            self._release(error)
            return True

    def close(self) -> None:
        """Nobody asks any longer."""
        if self.mask is not None:
            self.mask.close()

    def _opened_by(self, token: int) -> Sequence[int]:
        """The tokens that hold the text which opens calls, where it is complete with this one."""
        was_opened = bool(self._parser.opened)
        self._tokens.append(token)
        self._text.push(self._vocabulary.piece(token))
        opened, raw = self._parser.opened.encode(), b""
        if was_opened or not opened:
            return ()
        for first in range(len(self._tokens) - 1, -1, -1):
            raw = self._vocabulary.piece(self._tokens[first]) + raw
            if opened in raw:
                return tuple(self._tokens[first:])
        return tuple(self._tokens)

    def _grammar(self) -> Callable[[], Grammar]:
        return partial(self._calls.grammar_after, self._parser.opened, self._masks.token_of)

    def _release(self, error: InferenceError) -> None:
        log.warning("a call goes on without its grammar: %s", error.message)
        self.mask = None
