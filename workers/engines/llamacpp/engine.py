"""The llama.cpp engine: loads a GGUF file and answers through the scheduler."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event

import psutil

from presets import drafts, kv_cache
from presets.memory import footprint, machine
from presets.model import ModelSpec
from workers.contract.engine_use import EngineUse
from workers.contract.errors import EngineFailed, ModelLoadFailed
from workers.contract.prompt import Prompt
from workers.engines import named_tokens
from workers.engines.base import Delta, EngineOptions, GenerationRequest, cancelled_delta
from workers.engines.chat_template.traced_text import TracedText
from workers.engines.constraint_masks import ConstraintMasks
from workers.engines.dialogue import Dialogue
from workers.engines.llamacpp import weights
from workers.engines.llamacpp.context import Context, ContextSize
from workers.engines.llamacpp.drafts import Drafts
from workers.engines.llamacpp.held_sampling import sampler
from workers.engines.llamacpp.native import Model
from workers.engines.llamacpp.prefill_chunks import PrefillChunks
from workers.engines.llamacpp.prefixes import Prefixes
from workers.engines.llamacpp.prompt_cache import PromptCache
from workers.engines.llamacpp.prompt_disk import PromptDisk
from workers.engines.llamacpp.prompt_lookup import PromptLookup
from workers.engines.llamacpp.prompt_tokens import PromptTokens
from workers.engines.llamacpp.sampler_chain import History
from workers.engines.llamacpp.scheduler import Scheduler
from workers.engines.llamacpp.sequence import Sequence
from workers.engines.llamacpp.state_identity import StateIdentity, is_stretched
from workers.engines.llamacpp.vocabulary import Vocabulary
from workers.engines.prompt_store.prompt_directory import PromptDirectory
from workers.engines.raw_prompts import RawPrompts
from workers.engines.system_prompts import SystemPrompt
from workers.engines.time_budget import Cancelled, Preparations, TimeBudget

log = logging.getLogger(__name__)

#: Sequences that llama.cpp can keep apart in one context (`LLAMA_MAX_SEQ`).
MOST_SEQUENCES = 256
#: Tokens of one step at most; llama.cpp's default for `n_batch`.
BATCH_TOKENS = 2048
#: Seconds in which the prompts on disk are known, where the hash of the weights is: the first
#: request finds them. A hash that is yet to be made is not waited for.
_DISK_OPENS_S = 1.0


class LlamaCppEngine:
    """One GGUF model, decoded for many requests at once."""

    #: It runs in its worker's own process and dies with it.
    dead: str | None = None

    def __init__(self, options: EngineOptions) -> None:
        self.context_length = 0
        self.memory_bytes = 0
        self._options = options
        self._name = ""
        self._model: Model | None = None
        self._context: Context | None = None
        self._scheduler: Scheduler | None = None
        self._drafts = False
        self._preparations = Preparations()

    def load(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> None:
        """Load weights, template and KV pool; see `Engine.load`.

        The pool that all requests share is as large as the worker planned it; without a plan as
        large as the model's footprint wants it, and then the memory must be free.
        """
        concurrency = self._options.concurrency
        _require_possible(concurrency)
        path, kv_tokens = self._weights_and_pool(spec)
        kept = kv_cache.of(spec.options)
        identity = StateIdentity(path, kept, self._options.cache_dir / "hashes")

        before = psutil.Process().memory_info().rss
        model = self._model = Model(path, self._options.gpu_layers, on_progress)
        self._name = spec.id
        self.context_length = min(spec.context_length, model.trained_context, kv_tokens)
        self._vocabulary = Vocabulary(model)
        self._masks = ConstraintMasks(self._vocabulary.tree, concurrency)
        self._dialogue = Dialogue.of(
            spec, model.chat_template(), self._vocabulary.bos, self._vocabulary.eos
        )
        self._vocabulary.show(self._dialogue.tags)
        self._prompt_tokens = PromptTokens(
            spec.id, self._vocabulary, self._dialogue.own_texts, self.context_length
        )
        batch_tokens = max(min(BATCH_TOKENS, kv_tokens), concurrency)
        self._raw_prompts = RawPrompts(spec.id, self._vocabulary, self.context_length)
        # A draft is taken back where another token comes.
        wanted = drafts.of(spec.options, self._options.drafts) == drafts.LOOKUP
        self._drafts = wanted and not model.forgets
        planner = Drafts(enabled=self._drafts)
        self._context = context = Context(
            model,
            ContextSize(
                kv_tokens=kv_tokens,
                sequences=concurrency,
                batch_tokens=batch_tokens,
                threads=self._options.threads or machine.cores(),
                more_logits=planner.most_rows,
                kv_cache=kept,
            ),
        )
        self._warm_up(context)
        self.memory_bytes = max(psutil.Process().memory_info().rss - before, model.size_bytes)
        disk = self._prompt_disk(identity, is_stretched(model, kv_tokens))
        self._scheduler = Scheduler(
            context,
            Prefixes(
                context,
                concurrency,
                PromptCache(self._options.prompt_cache_bytes),
                forgets=model.forgets,
                disk=disk,
            ),
            concurrency=concurrency,
            kv_tokens=kv_tokens,
            chunks=PrefillChunks(most=batch_tokens),
            drafts=planner,
        )
        self._scheduler.start()
        on_progress(1.0)

    def _prompt_disk(self, identity: StateIdentity, stretched: bool) -> PromptDisk | None:
        """Where prompts outlive this worker, opened; None where the operator wants none."""
        options = self._options
        if not options.prompt_disk_bytes:
            return None
        if not options.prompt_cache_bytes:
            log.warning("no prompts go to the disk: there is no memory for a prompt cache")
            return None
        disk = PromptDisk(
            PromptDirectory(options.cache_dir / "prompts", options.prompt_disk_bytes),
            partial(identity.find, is_stretched=stretched),
        )
        disk.start()
        disk.await_open(_DISK_OPENS_S)
        return disk

    def _weights_and_pool(self, spec: ModelSpec) -> tuple[Path, int]:
        """The file that is loaded, and the tokens of the pool."""
        path = weights.check(spec)
        if spec.requantise is not None:
            path = weights.requantised(path, spec.requantise, self._options.cache_dir)
        kv_tokens = self._options.kv_tokens
        if kv_tokens is None:
            wanted = footprint.of(spec, self._options.concurrency, self._options.cache_dir)
            kv_tokens = wanted.wanted_tokens
            weights.require_memory(spec, path, kv_tokens, self._options.gpu_layers)
        return path, kv_tokens

    @property
    def stalled_s(self) -> float:
        """See `Engine.stalled_s`."""
        decoding_s = self._scheduler.stalled_s if self._scheduler is not None else 0.0
        return max(decoding_s, self._preparations.overdue_s)

    @property
    def use(self) -> EngineUse:
        """See `Engine.use`."""
        return EngineUse() if self._scheduler is None else self._scheduler.use

    def generate(self, request: GenerationRequest, cancelled: Event) -> Iterator[Delta]:
        """Decode one request; see `Engine.generate`.

        Template, tokens and sampler are made here, on the caller's thread.
        """
        scheduler = self._scheduler
        if scheduler is None:
            raise EngineFailed("The engine is closed.")
        try:
            with self._preparations.begin(cancelled) as budget:
                sequence = self._sequence(request, cancelled, budget)
        except Cancelled:
            return iter([cancelled_delta(request)])
        if reason := sequence.finished_before_start:
            sequence.sampler.free()
            sequence.end(reason)
        else:
            scheduler.submit(sequence)
        return sequence.read()

    def forget_job(self, job: str) -> None:
        """Drop what only this job has left; see `Engine.forget_job`."""
        if self._scheduler is not None:
            self._scheduler.forget_job(job)

    def count_tokens(self, text: str) -> int:
        """Tokens in a text, without special tokens added."""
        return len(self._vocabulary.plain(text))

    def prompt_text(self, prompt: Prompt) -> str:
        """See `Engine.prompt_text`."""
        return self._raw_prompts.text_of(prompt)

    def close(self) -> None:
        """End all generations and give the memory back. Safe to call twice."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.stop()
            self._masks.close()
        context, self._context = self._context, None
        if context is not None:
            context.free()
        model, self._model = self._model, None
        if model is not None:
            model.free()
        gc.collect()

    def _sequence(
        self, request: GenerationRequest, cancelled: Event, budget: TimeBudget
    ) -> Sequence:
        """A request as the scheduler takes it: prompt, sampler, and what sorts its answer."""
        named_tokens.require_known(request.sampling, self._vocabulary.size)
        if request.prompt is None:
            rendered = self._dialogue.prompt(request, budget)
            own_texts = self._dialogue.own_texts
            system = SystemPrompt(request, self._options.kept_ids, own_texts)
            prompt = self._prompt_tokens.of(rendered, budget, system)
        else:
            rendered = TracedText("")
            prompt = self._raw_prompts.of(request.prompt, request.sampling, budget)
        lookup = self._lookup(request, prompt) if self._drafts else None
        budget.phase = "compiling what the answer is held to"
        form = self._dialogue.form(request, rendered, self._masks.token_of)
        history = History(prompt, request.produced, self.context_length)
        chain = sampler(request.sampling, self._vocabulary, history, self._masks, form)
        try:
            budget.check()
        except BaseException:
            chain.free()
            raise
        return Sequence(
            request,
            prompt,
            chain,
            self._vocabulary,
            self.context_length,
            cancelled,
            form,
            lookup,
        )

    def _lookup(self, request: GenerationRequest, prompt: list[int]) -> PromptLookup:
        """What an answer's drafts are taken from."""
        predicted = self._vocabulary.plain(request.sampling.prediction)
        tokens = [*prompt, *request.produced]
        return PromptLookup(
            tokens, predicted[: self.context_length], produced=len(request.produced)
        )

    def _warm_up(self, context: Context) -> None:
        """Decode one token, so that the first request does not pay for first touches."""
        context.clear_batch()
        context.add(0, 0, 0, wants_logits=True)
        if context.decode() != 0:
            raise ModelLoadFailed(f"{self._name} was loaded, but llama.cpp cannot decode with it.")
        context.drop(0)


def _require_possible(concurrency: int) -> None:
    if concurrency > MOST_SEQUENCES:
        raise ModelLoadFailed(
            f"llama.cpp answers at most {MOST_SEQUENCES} requests at once; "
            f"INFERENCE_MAX_CONCURRENT_PER_MODEL is {concurrency}."
        )
