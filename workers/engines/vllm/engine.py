"""The vLLM engine: `AsyncLLM` in this worker, its model in processes of its own."""

from __future__ import annotations

import itertools
import logging
import queue
from collections.abc import Callable, Iterator
from threading import Event

import psutil
from vllm import SamplingParams
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import tokens_input
from vllm.outputs import RequestOutput
from vllm.tokenizers import cached_tokenizer_from_config
from vllm.v1.engine.async_llm import AsyncLLM

from presets.model import ModelSpec
from workers.contract.engine_use import EngineUse
from workers.contract.errors import EngineFailed, ModelLoadFailed
from workers.contract.prompt import Prompt
from workers.engines import named_tokens
from workers.engines.answer_form import AnswerForm
from workers.engines.banned_ends import BannedEnds
from workers.engines.base import Delta, EngineOptions, GenerationRequest, cancelled_delta
from workers.engines.chat_template.traced_text import TracedText
from workers.engines.constraint_masks import ConstraintMasks
from workers.engines.dialogue import Dialogue
from workers.engines.raw_prompts import RawPrompts
from workers.engines.time_budget import Cancelled, Preparations, TimeBudget
from workers.engines.vllm import processes
from workers.engines.vllm.arguments import engine_config, vllm_arguments
from workers.engines.vllm.error_file import ErrorFile
from workers.engines.vllm.held_answer import HeldAnswer
from workers.engines.vllm.held_rows import TAGS, HeldTo
from workers.engines.vllm.loop import Loop
from workers.engines.vllm.memory import device_bytes
from workers.engines.vllm.pieces import Pieces
from workers.engines.vllm.processes import EngineProcesses
from workers.engines.vllm.prompt_tokens import PromptTokens
from workers.engines.vllm.raw_vocabulary import RawVocabulary
from workers.engines.vllm.sampling import parameters, refused
from workers.engines.vllm.step_monitor import StepMonitor
from workers.engines.vllm.vllm_answer import VllmAnswer
from workers.engines.vllm.vocabulary import Vocabulary

log = logging.getLogger(__name__)

#: A caller that waits for vLLM checks this often, in seconds, whether it was cancelled.
CHECK_S = 0.05

Outputs = queue.SimpleQueue[RequestOutput | Exception]


class VllmEngine:
    """One model in `AsyncLLM`; vLLM batches the requests of all callers.

    Everything of vLLM's happens on one event loop in a thread of its own. A caller hands its
    request over to it and reads what comes back from a queue.
    """

    def __init__(self, options: EngineOptions, errors: ErrorFile) -> None:
        self.context_length = 0
        self.memory_bytes = 0
        self._options = options
        self._errors = errors
        self._name = ""
        self._numbers = itertools.count()
        self._steps = StepMonitor()
        self._closed = Event()
        self._loop: Loop | None = None
        self._llm: AsyncLLM | None = None
        self._preparations = Preparations()

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """Start vLLM's processes and let them read the model; see `Engine.load`.

        `spec.options` may name arguments of `vllm serve`; see `vllm_arguments`.
        """
        try:
            self._load(spec, on_progress)
        except BaseException:  # also what a signal's handler raises
            self.close()
            raise

    def _load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        engine_arguments = vllm_arguments(spec, self._options)
        processes.end_leftovers()
        self._processes = EngineProcesses()
        before = psutil.Process().memory_info().rss
        on_progress(0.1)
        self._loop = Loop()
        config = self._config(spec, engine_arguments)
        dialogue = self._dialogue = self._talk(spec, config)
        llm = self._llm = self._start(spec, config, self._loop)
        on_progress(0.9)
        self._name = spec.id
        self.context_length = int(llm.model_config.max_model_len)
        size = llm.model_config.get_vocab_size()
        self._masks = ConstraintMasks(lambda: self._vocabulary.tree(size), threads=1)
        self._pieces = Pieces(self._vocabulary, self._masks.tree)
        self._prompt_tokens = PromptTokens(
            spec.id, self._vocabulary.fast, dialogue.own_texts, self.context_length
        )
        self._raw_prompts = RawPrompts(
            spec.id, RawVocabulary(self._vocabulary, self._prompt_tokens), self.context_length
        )
        self._warm_up()
        self._errors.forget()
        self.memory_bytes = device_bytes(llm.vllm_config) or (
            self._processes.rss_bytes() + psutil.Process().memory_info().rss - before
        )
        on_progress(1.0)

    @property
    def stalled_s(self) -> float:
        """See `Engine.stalled_s`."""
        return max(self._steps.stalled_s, self._preparations.overdue_s)

    @property
    def dead(self) -> str | None:
        """See `Engine.dead`."""
        llm = self._llm
        if llm is None or not llm.errored:
            return None
        cause = self._errors.cause()
        return f"vLLM's engine process has died{f' ({cause})' if cause else ''}"

    @property
    def use(self) -> EngineUse:
        """See `Engine.use`."""
        return self._steps.use(self._options.kv_tokens)

    def generate(self, request: GenerationRequest, cancelled: Event) -> Iterator[Delta]:
        """Decode one request; see `Engine.generate`.

        Template, tokens and text are made on the caller's thread.

        Raises:
            UnsupportedParameter: vLLM does not do what is asked for with this model.
            ValidationFailed: nothing can be held to the constraint.
            ConstraintFailed: an answer could not be held to it to its end.
        """
        if self._llm is None:
            raise EngineFailed("The engine is closed.")
        try:
            with self._preparations.begin(cancelled) as budget:
                answer = self._answer(request, budget)
        except Cancelled:
            return iter([cancelled_delta(request)])
        if reason := answer.finished_before_start:
            return iter([answer.end(reason)])
        ends = BannedEnds(request.sampling, self._vocabulary.ends, len(request.produced))
        held_to = HeldTo.of(answer.form, self._vocabulary.failure, request.produced, ends)
        chosen = parameters(request.sampling, request.produced, answer.room, held_to)
        return self._read(answer, chosen, cancelled)

    def forget_job(self, job: str) -> None:
        """VLLM cannot drop what one request left: its own bound of memory lets go of it."""

    def count_tokens(self, text: str) -> int:
        """Tokens in a text, without special tokens added."""
        return self._prompt_tokens.count(text)

    def prompt_text(self, prompt: Prompt) -> str:
        """See `Engine.prompt_text`."""
        return self._raw_prompts.text_of(prompt)

    def close(self) -> None:
        """End all generations and vLLM's processes. Safe to call twice."""
        self._closed.set()
        llm, self._llm = self._llm, None
        members = self._processes.members() if self._loop is not None else []
        if llm is not None:
            # Nothing in them is worth waiting for, and vLLM must not log that they were killed.
            logging.getLogger("vllm").setLevel(logging.ERROR)
            llm.shutdown(timeout=0)
        loop, self._loop = self._loop, None
        if loop is not None:
            self._processes.end(members)  # while it loads there are some without an `AsyncLLM`
            loop.stop()
        self._errors.close()

    def _answer(self, request: GenerationRequest, budget: TimeBudget) -> VllmAnswer:
        """A request's prompt, and what makes deltas of what vLLM puts out after it."""
        named_tokens.require_known(request.sampling, self._pieces.size)
        if request.prompt is None:
            rendered = self._dialogue.prompt(request, budget)
            prompt = self._prompt_tokens.of(rendered, budget)
        else:
            rendered = TracedText("")
            prompt = self._raw_prompts.of(request.prompt, request.sampling, budget)
        form = self._dialogue.form(request, rendered, self._masks.token_of)
        held = None
        if form.grammar is not None:
            held = HeldAnswer(form, form.grammar, self._masks, self._pieces, request.produced)
            budget.check()
        return VllmAnswer(
            request,
            prompt,
            self._vocabulary,
            self.context_length,
            form,
            self._pieces.spelling,
            held,
        )

    def _config(self, spec: ModelSpec, arguments: AsyncEngineArgs) -> VllmConfig:
        try:
            return engine_config(arguments, self._options)
        except Exception as error:
            raise self._cannot_load(spec, error) from error

    def _talk(self, spec: ModelSpec, config: VllmConfig) -> Dialogue:
        """The model's tokenizer and its template; what samples learns its tags by the `config`."""
        model = config.model_config
        self._vocabulary = Vocabulary(
            spec.id, cached_tokenizer_from_config(model), model.try_get_generation_config()
        )
        dialogue = Dialogue.of(
            spec, self._vocabulary.template, self._vocabulary.bos, self._vocabulary.eos
        )
        self._vocabulary.show(dialogue.tags)
        config.additional_config[TAGS] = dialogue.tags
        return dialogue

    def _start(self, spec: ModelSpec, config: VllmConfig, loop: Loop) -> AsyncLLM:
        async def make() -> AsyncLLM:
            return AsyncLLM.from_vllm_config(
                config,
                stat_loggers=[self._steps.logger],
                disable_log_stats=True,  # those that vLLM would print by itself
            )

        try:
            return loop.run(make())
        except Exception as error:
            raise self._cannot_load(spec, error) from error

    def _cannot_load(self, spec: ModelSpec, error: Exception) -> ModelLoadFailed:
        # What failed in a process of vLLM's arrives here as "see root cause above".
        return ModelLoadFailed(f"vLLM cannot load {spec.id}: {self._errors.cause() or error}")

    def _warm_up(self) -> None:
        """Answer once, so that the first request does not pay for first touches.

        Raises:
            ModelLoadFailed: it cannot.
        """
        request = GenerationRequest("warm-up", ())
        prompt = self._vocabulary.tokenize("Hello") or [0]
        answer = VllmAnswer(
            request,
            prompt,
            self._vocabulary,
            self.context_length,
            AnswerForm(),
            self._pieces.spelling,
        )
        chosen = parameters(request.sampling, (), room=1)
        try:
            list(self._read(answer, chosen, Event()))
        except EngineFailed as error:
            raise ModelLoadFailed(
                f"{self._name} was loaded, but vLLM cannot decode with it: {error}"
            ) from error

    def _read(
        self, answer: VllmAnswer, chosen: SamplingParams, cancelled: Event
    ) -> Iterator[Delta]:
        """The deltas as they come; closing the iterator aborts the request."""
        loop = self._loop
        if loop is None:
            raise EngineFailed("The engine is closed.")
        outputs: Outputs = queue.SimpleQueue()
        work = loop.begin(self._ask(answer, chosen, outputs))
        try:
            while not cancelled.is_set() and not self._closed.is_set():
                try:
                    output = outputs.get(timeout=CHECK_S)
                except queue.Empty:
                    continue
                if isinstance(output, Exception):
                    self._explain(output)
                    continue
                for delta in answer.take(output):
                    yield delta
                    if delta.finish_reason is not None:
                        return
                    if cancelled.is_set():
                        break
            yield answer.end("cancelled")
        finally:
            work.cancel()

    async def _ask(self, answer: VllmAnswer, chosen: SamplingParams, outputs: Outputs) -> None:
        """Let vLLM answer; being cancelled aborts the request."""
        llm = self._llm
        if llm is None:
            return
        self._steps.began()
        try:
            # Blocks of the prefix cache are found under the same salt alone: by each key its own.
            prompt = tokens_input(answer.tokens, cache_salt=answer.request.owner)
            number = f"{answer.request.id}|{next(self._numbers)}"
            urgency = -int(answer.request.priority)  # the lowest of vLLM's numbers goes first
            async for output in llm.generate(prompt, chosen, number, priority=urgency):
                outputs.put(output)
        except Exception as error:  # noqa: BLE001 - its caller's thread raises it
            outputs.put(error)
        finally:
            self._steps.ended()

    def _explain(self, error: Exception) -> None:
        """Raise what a caller can use. Returns where the engine is dead: the job must not fail over
        that, it goes on elsewhere as after any crash; the watchdog ends this process in a moment.
        """
        if isinstance(error, VLLMValidationError):
            raise refused(error) from error
        if self.dead is None and not self._closed.is_set():
            log.error("vLLM failed a request", exc_info=error)
            self._errors.forget()
            raise EngineFailed(f"vLLM failed this request: {error}") from error
