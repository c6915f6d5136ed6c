"""A loaded model that shortens texts, pass by pass as the service lets it; without the service."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from orchestration.context import compression
from orchestration.context.compression import MARGIN, MOST_PASSES
from orchestration.context.handed_on import HandedOn
from orchestration.context.planning import Planner
from orchestration.handoff import begin
from orchestration.modes.rounds import FinishedStep, Step
from orchestration.prompts.compression import COMPRESS
from orchestration.prompts.rendering import Prompts
from workers.contract.job import Job, Message
from workers.contract.step import Outcome
from workers.engines import registry
from workers.engines.base import GenerationRequest
from workers.engines.time_budget import TimeBudget


class EngineCounter:
    """Counts with one model's tokenizer, in this process; see `TokenCounter`."""

    def __init__(self, spec):
        self._tokenizer = registry.tokenizer(spec)

    def count_messages(self, model, messages, template=None):
        """Tokens of the prompt."""
        return len(self._tokenizer.of_messages(GenerationRequest("", messages), TimeBudget()))

    def count_texts(self, model, texts):
        """Tokens of each."""
        return tuple(self._tokenizer.count(text) for text in texts)


@dataclass(frozen=True)
class Shortened:
    """What has become of a text."""

    #: The shorter text and the lists beside it; the text as it was where every pass failed.
    text: str
    tokens: int
    #: Why each pass failed; None where it did not.
    problems: tuple[str | None, ...]


class Compressor:
    """Shortens texts with an engine that has a model loaded."""

    def __init__(self, engine, spec):
        self._engine = engine
        self._model = spec.id
        self.counter = EngineCounter(spec)
        self._planner = Planner(self.counter, lambda _: spec.budgets)
        self._prompts = Prompts((COMPRESS,))

    def shorten(self, text, target, *, system="", passes=MOST_PASSES):
        """Shorten a text to so many tokens, in so many passes at most."""
        job = self._job(system)
        source = FinishedStep(Step("draft", "draft", self._model), 1, text, self._outcome("stop"))
        handed, readers, problems = HandedOn(source, None, begin(job, 2)), [], []
        made = None
        for _ in range(passes):
            wanted = max(1, int(target * MARGIN))
            steps = self._planner.shorten(self._prompts, job, handed, wanted)
            with ThreadPoolExecutor(len(steps)) as threads:
                readers += threads.map(self._run, steps)
            made = compression.read(job, source, readers, handed.before)
            problems.append(made.problem)
            handed = replace(handed, done=replace(source, shortened=made.text), compressed=made)
            if made.text is not None and self._count(made.text) <= target:
                break
        lists = () if made is None else (*made.settled.lists().values(), made.errors)
        kept = "\n".join([handed.text, *(entry for entries in lists for entry in entries)])
        return Shortened(kept, self._count(kept), tuple(problems))

    def _run(self, step):
        asked = GenerationRequest(step.name, step.assignment.messages, step.assignment.sampling)
        deltas = list(self._engine.generate(asked, threading.Event()))
        outcome = self._outcome(deltas[-1].finish_reason, step.name)
        return FinishedStep(step, 1, "".join(delta.text for delta in deltas), outcome)

    def _count(self, text):
        (count,) = self.counter.count_texts(self._model, [text])
        return count

    def _job(self, system):
        told = (Message("system", system),) if system else ()
        asked = Message("user", "Sum up what the depots have to know.")
        bounds = {"fast_model": self._model}
        return Job("chatcmpl-1", self._model, (*told, asked), created=1, bounds=bounds)

    def _outcome(self, reason, name="draft"):
        return Outcome.without_run(name, self._model, reason)
