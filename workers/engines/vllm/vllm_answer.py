"""One generation: what vLLM puts out, as deltas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vllm.outputs import RequestOutput

from workers.contract.errors import EngineFailed
from workers.contract.logprobs import Logprob, PackedLogprobs, pack
from workers.contract.step import Timings, Usage
from workers.engines.answer_form import AnswerForm
from workers.engines.base import Delta, GenerationRequest
from workers.engines.text import Shown
from workers.engines.vllm.held_answer import HeldAnswer
from workers.engines.vllm.vocabulary import Detokenizer, Vocabulary

_NOTHING = Shown()


class VllmAnswer:
    """Prompt and answer as token ids, and the text of what is new. Used by its caller's thread."""

    def __init__(
        self,
        request: GenerationRequest,
        prompt: list[int],
        vocabulary: Vocabulary,
        context_length: int,
        form: AnswerForm,
        spelling: Callable[[int], bytes],
        held: HeldAnswer | None = None,
    ) -> None:
        """`spelling`: the bytes of a token; `held`: follows the tokens of an answer that is held to
        a grammar from its content on.
        """
        self.request = request
        self.form = form
        self.held = held
        #: Prompt, then answer.
        self.tokens = [*prompt, *request.produced]
        self._prompt_length = len(prompt)
        sampling = request.sampling
        self._ends = frozenset[int]() if sampling.ignore_eos else vocabulary.ends
        self._spelling = spelling
        self._characters = Detokenizer(vocabulary, prompt)
        self._text = form.assembler(sampling)
        self._is_silent = vocabulary.silent.__contains__
        for token in request.produced:
            self._show(token)
        limit = sampling.max_tokens
        most = context_length - len(prompt)
        self._max_tokens = most if limit is None else min(limit, most)
        self._cached_tokens = 0
        self._asked_at = time.monotonic()
        self._timings: Timings | None = None

    @property
    def room(self) -> int:
        """Tokens that may still be produced."""
        return self._max_tokens - self._produced

    @property
    def finished_before_start(self) -> str | None:
        """The finish reason, where what was produced already is the whole answer."""
        produced, sampling = self.request.produced, self.request.sampling
        if self._text.stopped or (produced and produced[-1] in self._ends):
            return "stop"
        if len(produced) > sampling.min_tokens and produced[-1] in sampling.stop_token_ids:
            return "stop"
        return "length" if self.room <= 0 else None

    def take(self, output: RequestOutput) -> Iterator[Delta]:
        """The deltas of what vLLM has put out; the last one where the answer ends with it.

        Raises:
            EngineFailed: vLLM has given it up.
            ConstraintFailed: it does not follow what it is held to.
        """
        (completion,) = output.outputs
        self._measure(output)
        reason = completion.finish_reason
        if reason not in (None, "stop", "length"):
            raise EngineFailed(f"vLLM gave this answer up: {reason}.")
        if self.held is not None:
            self.held.take(completion.token_ids)
        last = len(completion.token_ids) - 1
        for place, token in enumerate(completion.token_ids):
            self.tokens.append(token)
            ends = place == last and reason is not None
            shown = self._show(token, ends=ends, cut=reason == "length", stops=reason == "stop")
            logprobs = self._logprobs(token, completion.logprobs, place)
            if self._text.stopped:
                yield self.end("stop", shown, (token,), logprobs)
                return
            if ends:
                shown += self._text.finish(cut=reason == "length")
                yield self.end(reason, shown, (token,), logprobs)
                return
            yield shown.delta((token,), logprobs)
        if reason is not None:
            yield self.end(reason, self._text.finish(cut=reason == "length"))

    def end(
        self,
        reason: str,
        shown: Shown = _NOTHING,
        token_ids: tuple[int, ...] = (),
        logprobs: tuple[PackedLogprobs, ...] = (),
    ) -> Delta:
        """The last delta."""
        usage = Usage(self._prompt_length, self._produced, self._cached_tokens)
        waited_ms = round((time.monotonic() - self._asked_at) * 1e3, 3)
        timings = self._timings or Timings(queued_ms=waited_ms)
        return self._text.last_delta(reason, shown.delta(token_ids, logprobs), usage, timings)

    @property
    def _produced(self) -> int:
        return len(self.tokens) - self._prompt_length

    def _show(
        self, token: int, *, ends: bool = False, cut: bool = False, stops: bool = False
    ) -> Shown:
        """`ends`: it is the last; `cut`: by the limit; `stops`: it is what ended the answer."""
        sampling = self.request.sampling
        hidden = ends and stops and token in sampling.stop_token_ids
        if hidden and not sampling.include_stop_str_in_output:
            return self._text.push(self._characters.finish().encode())
        text = self._characters.push(token)
        if ends:
            text += self._characters.finish(cut=cut)
        return self._text.push(text.encode(), partial=not text and not self._is_silent(token))

    def _logprobs(
        self, token: int, of_tokens: Sequence[Mapping[int, Any]] | None, place: int
    ) -> tuple[PackedLogprobs, ...]:
        """What vLLM tells of a token, where it is asked for: the model's own, as it is set to."""
        asked = self.request.sampling.logprobs
        if asked is None or of_tokens is None:
            return ()
        if not self._text.may_be_content:
            return ((),)
        known = of_tokens[place]
        likeliest = sorted(known, key=lambda other: int(known[other].rank or 0))[:asked]
        return (
            pack(
                Logprob(each, self._spelling(each), float(known[each].logprob))
                for each in (token, *likeliest)
            ),
        )

    def _measure(self, output: RequestOutput) -> None:
        # An answer that goes on finds the tokens before it in the cache too; usage counts prompts.
        self._cached_tokens = min(output.num_cached_tokens or 0, self._prompt_length)
        if (metrics := output.metrics) is not None:
            self._timings = Timings(
                queued_ms=_ms(metrics.queued_ts, metrics.scheduled_ts),
                prefill_ms=_ms(metrics.scheduled_ts, metrics.first_token_ts),
                decode_ms=_ms(metrics.first_token_ts, metrics.last_token_ts),
            )


def _ms(begin_s: float, end_s: float) -> float:
    return round(max(0.0, end_s - begin_s) * 1e3, 3)
