"""One generation inside the scheduler."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from itertools import takewhile
from threading import Event

from workers.contract.errors import InferenceError
from workers.contract.logprobs import PackedLogprobs
from workers.contract.step import Timings, Usage
from workers.engines.answer_form import AnswerForm
from workers.engines.base import Delta, GenerationRequest
from workers.engines.llamacpp.prompt_lookup import NO_DRAFT, Draft, PromptLookup
from workers.engines.llamacpp.sampling import Sampler
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.text import Shown

_NOTHING = Shown()


class Sequence:
    """Prompt and answer as token ids, how far they are decoded, and where deltas go.

    The caller's thread makes it and reads its deltas; everything between happens on the decoding
    thread.
    """

    def __init__(
        self,
        request: GenerationRequest,
        prompt: list[int],
        sampler: Sampler,
        vocabulary: Vocabulary,
        context_length: int,
        cancelled: Event,
        form: AnswerForm,
        lookup: PromptLookup | None = None,
    ) -> None:
        """`lookup`: what drafts are taken from; None: there are none."""
        self.request = request
        #: Prompt, then answer.
        self.tokens = [*prompt, *request.produced]
        self.prompt_length = len(prompt)
        #: Cells of the pool that hold this sequence's tokens: `tokens[:decoded]`.
        self.decoded = 0
        #: Of its first tokens, those that the prompt cache has on disk, or is to write.
        self.stored = 0
        #: Its number in the pool; None while it has no cells.
        self.slot: int | None = None
        #: Its slot holds what there was of its beginning: it can be decoded.
        self.has_begun = False
        #: Prompt tokens that others had read when its first prefill began.
        self.cached_tokens = 0
        self.sampler = sampler
        #: Tokens that are decoded with the last one, in case they come after it.
        self.draft = NO_DRAFT
        self._lookup = lookup
        self._accepted_prediction = self._rejected_prediction = 0
        self._vocabulary = vocabulary
        self._text = form.assembler(request.sampling)
        for token in request.produced:
            self._text.push(vocabulary.piece(token))
        self._tells = request.sampling.logprobs is not None
        self._shows_stop = request.sampling.include_stop_str_in_output
        limit = request.sampling.max_tokens
        room = context_length - self.prompt_length
        self._max_tokens = room if limit is None else min(limit, room)
        self._cancelled = cancelled
        self._abandoned = False
        self._deltas: queue.SimpleQueue[Delta | InferenceError] = queue.SimpleQueue()
        self._asked_at = time.perf_counter()
        self._begun_at: float | None = None
        self._first_token_at: float | None = None

    @property
    def produced_length(self) -> int:
        """Tokens of the answer."""
        return len(self.tokens) - self.prompt_length

    @property
    def pending(self) -> int:
        """Tokens that are not decoded yet: one while the answer grows, many in a prefill."""
        return len(self.tokens) - self.decoded

    @property
    def reading_s(self) -> float:
        """Seconds since its prefill began."""
        return 0.0 if self._begun_at is None else time.perf_counter() - self._begun_at

    @property
    def is_cancelled(self) -> bool:
        """Its caller has cancelled it or gone."""
        return self._abandoned or self._cancelled.is_set()

    @property
    def finished_before_start(self) -> str | None:
        """The finish reason, where what was produced already is the whole answer."""
        return self._reason(stops=False)

    def begin(self) -> None:
        """Its prefill starts, or starts anew."""
        if self._begun_at is None:
            self._begun_at = time.perf_counter()
            self.cached_tokens = min(self.decoded, self.prompt_length)

    def next_draft(self, most: int) -> Draft:
        """What may come after its last token: so many tokens at most, and none that would end it.

        A step gives one token more than a draft has.
        """
        if self._lookup is None:
            return NO_DRAFT
        draft = self._lookup.draft(min(most, self._max_tokens - self.produced_length - 1))
        stops = self.request.sampling.stop_token_ids
        for length, token in enumerate(draft.tokens):
            if token in stops or self._vocabulary.ends_turn(token):
                return draft.first(length)
        return draft

    def settle(self) -> int:
        """Count as decoded what came of the draft; returns how many tokens those are."""
        accepted, rejected = self._of_draft()
        if self.draft.is_predicted:
            self._accepted_prediction += accepted
            self._rejected_prediction += rejected
        self.decoded += accepted
        self.draft = NO_DRAFT
        return accepted

    def _of_draft(self) -> tuple[int, int]:
        """How many tokens of the draft came, and how many did not."""
        drafted = self.draft.tokens
        came = zip(drafted, self.tokens[self.decoded :], strict=False)
        accepted = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], came))
        return accepted, len(drafted) - accepted

    def take(self, token: int) -> bool:
        """Take the token that was sampled; returns True when the answer has ended with it."""
        if self._first_token_at is None:
            self._first_token_at = time.perf_counter()
        told = self.sampler.logprobs() if self._tells else ()
        stops = self._is_stop_token(token)
        if self._vocabulary.ends_turn(token) or (stops and not self._shows_stop):
            self.end("stop", self._text.finish())
            return True
        self.tokens.append(token)
        if self._lookup is not None:
            self._lookup.take(token)
        shown = self._text.push(self._vocabulary.piece(token))
        logprobs = (told if self._text.may_be_content else (),) if self._tells else ()
        reason = self._reason(stops=stops)
        if reason is not None:
            shown += self._text.finish(cut=reason == "length")
            self.end(reason, shown, (token,), logprobs)
            return True
        self._deltas.put(shown.delta((token,), logprobs))
        return False

    def _is_stop_token(self, token: int) -> bool:
        sampling = self.request.sampling
        return token in sampling.stop_token_ids and self.produced_length >= sampling.min_tokens

    def _reason(self, *, stops: bool) -> str | None:
        """Why the answer ends with its last token; None: it goes on."""
        if stops or self._text.stopped:
            return "stop"
        return "length" if self.produced_length >= self._max_tokens else None

    def end(
        self,
        reason: str,
        shown: Shown = _NOTHING,
        token_ids: tuple[int, ...] = (),
        logprobs: tuple[PackedLogprobs, ...] = (),
    ) -> None:
        """Give the last delta."""
        accepted, rejected = self._of_draft() if self.draft.is_predicted else (0, 0)
        usage = Usage(
            self.prompt_length,
            self.produced_length,
            self.cached_tokens,
            accepted_prediction_tokens=self._accepted_prediction + accepted,
            rejected_prediction_tokens=self._rejected_prediction + rejected,
        )
        delta = shown.delta(token_ids, logprobs)
        self._deltas.put(self._text.last_delta(reason, delta, usage, self._timings()))

    def fail(self, error: InferenceError) -> None:
        """Let the reader raise this error."""
        self._deltas.put(error)

    def read(self) -> Iterator[Delta]:
        """The deltas as they come; closing the iterator abandons the sequence."""
        try:
            while True:
                delta = self._deltas.get()
                if isinstance(delta, InferenceError):
                    raise delta
                yield delta
                if delta.finish_reason is not None:
                    return
        finally:
            self._abandoned = True

    def _timings(self) -> Timings:
        now = time.perf_counter()
        begun = now if self._begun_at is None else self._begun_at
        first = now if self._first_token_at is None else self._first_token_at
        return Timings(
            queued_ms=round((begun - self._asked_at) * 1e3, 3),
            prefill_ms=round((first - begun) * 1e3, 3),
            decode_ms=round((now - first) * 1e3, 3),
        )
