"""Masks: which tokens of the vocabulary may come next in an answer that is held to a grammar.

llguidance makes them, and drops the GIL meanwhile. The first is made with the compiling, on the
thread that begins, or on one of the pool where the answer is decoded already; every later one on a
thread of the pool, from when its token is sampled: it is there before the batch with that token is
decoded. An honest mask takes 0.1 ms.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

from workers.constraints.bounds import LIMITS
from workers.constraints.grammar import reason
from workers.contract.errors import ConstraintFailed, ValidationFailed
from workers.engines.answer_form import Grammar

#: Seconds of CPU for one answer's masks: at its start, and for each token more. The neighbours'
#: decoding needs the same cores, and llguidance takes a token with the GIL held. An honest mask
#: takes a fiftieth of the latter.
START_CPU_S, TOKEN_CPU_S = 0.25, 0.005
#: Seconds after which a mask is not waited for any longer: llguidance's own bounds count work, and
#: the machine may be busy.
WAIT_S = 5.0


class ConstraintMasks:
    """What one model's answers are held with. Safe from any thread."""

    def __init__(self, tree: Callable[[], LLTokenizer], threads: int) -> None:
        """`tree`: makes the vocabulary as llguidance keeps it, once: in a third of a second for
        50,000 tokens. `threads`: with one for each answer no mask waits for another's.
        """
        self._make_tree = tree
        self._lock = threading.Lock()
        self._tree: LLTokenizer | None = None
        self._pool = ThreadPoolExecutor(threads, "mask")

    def token_of(self, text: str) -> int | None:
        """The special token that this text is; None: it is a text like any other."""
        tokens = self.tree.tokenize_str(text, parse_special=True)
        return tokens[0] if len(tokens) == 1 and self.tree.is_special_token(tokens[0]) else None

    def compile(self, grammar: Grammar) -> LLMatcher:
        """What follows the grammar from its beginning.

        Raises:
            ValidationFailed: nothing can be held to it.
        """
        compiled = LLMatcher(self.tree, grammar.text, log_level=0, limits=LIMITS)
        if compiled.is_error():
            raise ValidationFailed(
                f"{grammar.param} cannot be held to: {reason(compiled.get_error())}",
                details={"param": grammar.param},
            )
        return compiled

    def begin(self, grammar: Grammar, tokens: Iterable[int], cpu_s: float = START_CPU_S) -> Mask:
        """The mask after the tokens that are held and there already. It is made here.

        `cpu_s`: what the answer's masks may take at its start, besides what each token adds.

        Raises:
            ValidationFailed: nothing can be held to the grammar.
            ConstraintFailed: it took too long, or the tokens do not follow it.
        """
        mask = Mask(self, grammar.param, cpu_s)
        mask.begin(lambda: grammar, tokens)
        return mask

    def begin_beside(
        self,
        grammar: Callable[[], Grammar],
        param: str,
        tokens: Iterable[int],
        cpu_s: float = START_CPU_S,
    ) -> Mask:
        """The same on a thread of the pool: where the answer is being decoded.

        The mask raises what `begin` would have.
        """
        mask = Mask(self, param, cpu_s)
        mask.submit(mask.begin, grammar, tuple(tokens))
        return mask

    def submit(self, work: Callable[..., None], *given: Any) -> Future[None]:
        """Let a thread of the pool work."""
        return self._pool.submit(work, *given)

    def close(self) -> None:
        """End the threads; what they make now is made to its end."""
        self._pool.shutdown(cancel_futures=True)

    @property
    def tree(self) -> LLTokenizer:
        """The vocabulary."""
        with self._lock:
            if self._tree is None:
                self._tree = self._make_tree()
            return self._tree


class Mask:
    """One answer's: the tokens that may come next."""

    def __init__(self, masks: ConstraintMasks, param: str, cpu_s: float) -> None:
        self._masks = masks
        self._matcher: LLMatcher | None = None
        self._size = int(masks.tree.vocab_size)
        #: A bit for each token, the lowest first; set where it may come next.
        self.words = np.zeros((self._size + 31) // 32, dtype=np.int32)
        self._param = param
        self._left_cpu_s = cpu_s
        #: The mask that is being made; None where there is none.
        self.pending: Future[None] | None = None
        self._asked_at = 0.0

    def begin(self, grammar: Callable[[], Grammar], tokens: Iterable[int]) -> None:
        """Compile the grammar and go on after these tokens, on the present thread.

        Raises:
            ValidationFailed: nothing can be held to the grammar.
            ConstraintFailed: it took too long, or the tokens do not follow it.
        """
        self._matcher = self._masks.compile(grammar())
        self.advance(tokens)

    def take(self, token: int) -> None:
        """Go on after a token that it allows; the next mask is begun."""
        self.submit(self.advance, (token,))

    def submit(self, work: Callable[..., None], *given: Any) -> None:
        """Let a thread of the pool make the mask."""
        self._asked_at = time.monotonic()
        self.pending = self._masks.submit(work, *given)

    def is_ready(self, wait_s: float | None) -> bool:
        """Whether the mask can be asked; waits at most so long for it, None: until it is made.

        Raises:
            ConstraintFailed: it cannot be made, or not in time.
        """
        if self.pending is None:
            return True
        try:
            self.pending.result(wait_s)
        except TimeoutError:
            if time.monotonic() - self._asked_at > WAIT_S:
                raise self._failed(f"a token's mask took longer than {WAIT_S:g} s") from None
            return False
        except CancelledError:
            raise self._failed("the engine is closed") from None
        self.pending = None
        return True

    def allows(self, token: int) -> bool:
        """Whether this token may come next."""
        return bool(self.words[token >> 5] >> (token & 31) & 1)

    def allowed(self) -> NDArray[np.int32]:
        """All tokens that may come next, in order."""
        bits = np.unpackbits(self.words.view(np.uint8), count=self._size, bitorder="little")
        return np.flatnonzero(bits).astype(np.int32)

    def close(self) -> None:
        """Nobody asks any longer."""
        if self.pending is not None:
            self.pending.cancel()

    def advance(self, tokens: Iterable[int]) -> None:
        """Go on after these tokens and make the mask, on the present thread.

        Raises:
            ConstraintFailed: it cannot be made, or took more than the answer has for it.
        """
        began_s = time.thread_time()
        matcher = self._matcher
        if matcher is None:
            raise RuntimeError("a mask is begun before it goes on")
        for token in tokens:
            self._left_cpu_s += TOKEN_CPU_S
            if not matcher.consume_token(token):
                break
        if not matcher.is_error():
            matcher.unsafe_compute_mask_ptr(self.words.ctypes.data, self.words.nbytes)
        if matcher.is_error():
            raise self._failed(_why(matcher))
        self._left_cpu_s -= time.thread_time() - began_s
        if self._left_cpu_s < 0:
            raise self._failed("its masks took more time than one answer has for them")

    def _failed(self, why: str) -> ConstraintFailed:
        return ConstraintFailed(
            f"The answer could not be held to {self._param}: {why}.",
            details={"param": self._param, "reason": why},
        )


def _why(matcher: LLMatcher) -> str:
    if matcher.stop_reason().startswith("NoExtension"):
        return "no token can follow"
    return reason(matcher.get_error())
