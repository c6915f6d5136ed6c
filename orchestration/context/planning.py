"""Planning: every prompt of a round is counted before a model sees it, and made to fit.

A text that is too long for those who go on from it is shortened first, by steps of the fast model.
What cannot be made to fit is refused before the call, with both numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestration.context import compression, reading_steps
from orchestration.context.compression import MARGIN, MOST_PASSES
from orchestration.context.handed_on import HandedOn, read_by
from orchestration.context.layout import LEAST_ANSWER, PromptPlan, Sizes
from orchestration.context.pieces import pieces
from orchestration.conversation import Conversation, text_of
from orchestration.modes.rounds import FinishedStep, Round, Step
from orchestration.prompts.rendering import Prompts
from presets.budgets import Budgets
from workers.contract.errors import (
    CompressionFailed,
    ContextBudgetExceeded,
    InferenceError,
    ModelLoadFailed,
)
from workers.contract.job import Job, Message
from workers.contract.step import Assignment
from workers.contract.tokenizing import TokenCounter

#: Tokens of a text that is not worth shortening.
SMALL = 64
#: Parts of a text at most: a million characters for a compressor of 8,192 tokens.
MOST_PARTS = 64


@dataclass(frozen=True, slots=True)
class Fitting:
    """What has to be done before a round can run; nothing where it fits."""

    #: Of each step whose prompt was counted, by its name.
    plans: Mapping[str, PromptPlan] = field(default_factory=dict)
    #: Steps that shorten texts first.
    compressions: tuple[Step, ...] = ()
    #: Steps that cannot run, by their names, and why.
    refused: Mapping[str, InferenceError] = field(default_factory=dict)


class Planner:
    """Counts with each model's own tokenizer, and knows how its context is divided."""

    def __init__(self, counter: TokenCounter, budgets: Callable[[str], Budgets]) -> None:
        """`budgets` gives a model's, scaled to the context that it has where it is loaded."""
        self._counter = counter
        self._budgets = budgets

    def fit(self, prompts: Prompts, job: Job, round_: Round, texts: Sequence[HandedOn]) -> Fitting:
        """What has to be done before this round, whose prompts have some of these texts.

        Raises:
            InferenceError: what counts tokens is away, or refuses a prompt.
            redis.RedisError: Redis is away.
        """
        plans: dict[str, PromptPlan] = {}
        refused: dict[str, InferenceError] = {}
        #: Of each text that is too long: who reads it, and to how many tokens it has to come.
        wanted: dict[str, dict[str, int]] = {}
        for step in round_.steps:
            if step.assignment is None:
                continue
            read = read_by(step.assignment, texts)
            plan, counts = self._plan(job, step, step.assignment, read)
            plans[step.name] = plan
            try:
                for name, target in _targets(step, plan, read, counts).items():
                    wanted.setdefault(name, {})[step.name] = target
            except InferenceError as error:
                refused[step.name] = error
        compressions: list[Step] = []
        by_name = {each.done.step.name: each for each in texts}
        for name, readers in wanted.items():
            try:
                compressions += self.shorten(prompts, job, by_name[name], min(readers.values()))
            except ContextBudgetExceeded as error:
                refused |= dict.fromkeys(readers, error)
        return Fitting(plans, tuple(compressions), refused)

    def fit_history(
        self, prompts: Prompts, job: Job, handed: HandedOn, messages: Sequence[Message]
    ) -> tuple[PromptPlan, tuple[Step, ...]]:
        """The plan of a conversation with old turns, and the steps that shorten them first.

        They are shortened while the answer lacks some of its part; three passes are enough where
        the window takes it all the same.

        Raises:
            ContextBudgetExceeded, CompressionFailed: what the window does not take, and why.
            InferenceError, redis.RedisError: as `fit`.
        """
        made, model = handed.compressed, job.model
        old, system = Conversation.of(job.messages), Conversation.of(messages)
        told = [text_of(system.system), text_of(system.old)]
        written = [] if messages is job.messages else [text_of(old.old)]
        whole, counts = self._counter.count_prompt(model, messages, [*told, *written], job.template)
        budgets, limit = self._budgets(model), job.sampling.max_tokens
        generation = budgets.generation if limit is None else min(limit, budgets.generation)
        sizes = Sizes(counts[0], 0, counts[1], whole)
        plan = PromptPlan(budgets, sizes, counts[-1], generation)
        least = min(SMALL, sizes.handoff)
        attempted = made is not None
        if whole - sizes.handoff + least + LEAST_ANSWER > budgets.total:
            raise _too_long(model, budgets.total, whole, attempted=attempted)
        if not plan.short_of_answer or sizes.handoff <= SMALL:
            return plan, ()
        target = max(SMALL, sizes.handoff - plan.short_of_answer)
        if made is None or made.passes < MOST_PASSES:
            return plan, self.shorten(prompts, job, handed, max(1, int(target * MARGIN)))
        if not plan.fits:
            raise _failed("the answer", model, handed, sizes.handoff, target)
        return plan, ()

    def takes(self, step: Step) -> bool:
        """Whether the window of a reader's model takes its prompt, and all that it may say.

        Where that model's files are on another machine its worker counts, and may refuse.

        Raises:
            InferenceError, redis.RedisError: as `fit`.
        """
        if step.assignment is None:  # its caller's request, which no reader has
            return True
        try:
            prompt = self._counter.count_messages(step.model, step.assignment.messages)
        except ModelLoadFailed:
            return True
        answer = step.assignment.sampling.max_tokens or LEAST_ANSWER
        return prompt + answer <= self._budgets(step.model).total

    def told(
        self, job: Job, ended: Sequence[FinishedStep], texts: Sequence[HandedOn]
    ) -> dict[str, PromptPlan]:
        """The plans of steps that were sent without one: first steps, and those done again.

        A first step is what its caller asks: the front end sends it at once, and the model's worker
        counts it before it answers. Members of one model that are asked the same are counted once.

        Raises:
            InferenceError, redis.RedisError: as `fit`.
        """
        plans, counted = dict[str, PromptPlan](), list[tuple[str, Assignment, PromptPlan]]()
        for done in ended:
            step, assignment = done.step, done.step.assignment
            if done.plan is not None or done.outcome.error is not None or assignment is None:
                continue
            alike = (
                plan
                for model, other, plan in counted
                if model == step.model
                and other.messages == assignment.messages
                and other.sampling.max_tokens == assignment.sampling.max_tokens
            )
            plan = next(alike, None)
            if plan is None:
                before = [each for each in texts if each.done.round < done.round]
                plan, _ = self._plan(job, step, assignment, read_by(assignment, before))
                counted.append((step.model, assignment, plan))
            plans[step.name] = plan
        return plans

    def _plan(
        self, job: Job, step: Step, assignment: Assignment, read: Sequence[HandedOn]
    ) -> tuple[PromptPlan, Sequence[int]]:
        """A step's plan, and the tokens of each text that it reads.

        The whole prompt is counted once, and what is not the question once more.
        """
        system, trajectory = _system_message(job, assignment.messages)
        now = [each.text for each in read]
        shortened = [each.done.text.strip() for each in read if each.done.shortened is not None]
        texts = [system, trajectory, *now, *shortened]
        whole, (told, placed, *counts) = self._counter.count_prompt(
            step.model, assignment.messages, texts, job.template.of_a_step()
        )
        current, written = counts[: len(now)], iter(counts[len(now) :])
        asked = sum(
            count if each.done.shortened is None else next(written)
            for each, count in zip(read, current, strict=True)
        )
        budgets, limit = self._budgets(step.model), assignment.sampling.max_tokens
        sizes = Sizes(told, placed, sum(current), whole)
        generation = budgets.generation if limit is None else limit
        return PromptPlan(budgets, sizes, asked, generation), current

    def shorten(
        self, prompts: Prompts, job: Job, handed: HandedOn, target: int
    ) -> tuple[Step, ...]:
        """The next pass over a text; in parts, where it is longer than the compressor's window.

        Raises:
            ContextBudgetExceeded: not even so many parts are short enough.
        """
        model = reading_steps.reader_of(job, handed.done)
        budgets = self._budgets(model)
        number = 1 if handed.compressed is None else handed.compressed.passes + 1
        keep = compression.to_keep(job, handed.before, handed.text)
        parts, longest = 1, 0
        while parts <= MOST_PARTS:
            answer = min(budgets.generation, 2 * target // parts + reading_steps.READING_TOKENS)
            steps = compression.steps(
                prompts,
                job,
                handed.done,
                pieces(handed.text, parts),
                number=number,
                target=target,
                max_tokens=answer,
                keep=keep,
            )
            prompts_ = [step.assignment.messages for step in steps if step.assignment]
            longest = max(self._counter.count_messages(model, each) for each in prompts_)
            room = budgets.total - answer
            if longest <= room:
                return steps
            # What stands around a part does not shrink with it, so one more is tried at least.
            parts = max(parts + 1, math.ceil(parts * longest / max(1, room)))
        raise _too_long(model, budgets.total, longest, attempted=False)


def _system_message(job: Job, messages: Sequence[Message]) -> tuple[str, str]:
    """What the caller's system messages say, and what the service adds to them."""
    told = text_of(turn for turn in job.messages if turn.role == "system")
    first = messages[0].content or "" if messages and messages[0].role == "system" else ""
    return (told, first[len(told) :].strip()) if first.startswith(told) else ("", first)


def _targets(
    step: Step, plan: PromptPlan, read: Sequence[HandedOn], counts: Sequence[int]
) -> dict[str, int]:
    """To how many tokens each text that a step reads has to come; none where it can stay.

    Where something has to be shortened it is to come to its part, though more would do: what is
    shorter is sooner written, and it is taken as soon as the prompt is no longer crowded.

    Raises:
        ContextBudgetExceeded: no shortening makes the prompt fit its window.
        CompressionFailed: all passes were made.
    """
    large = [(each, count) for each, count in zip(read, counts, strict=True) if count > SMALL]
    together = sum(count for _, count in large)
    least = SMALL * len(large)
    attempted = any(each.compressed is not None for each in read)
    if plan.sizes.prompt - together + least + LEAST_ANSWER > plan.budgets.total:
        raise _too_long(step.model, plan.budgets.total, plan.sizes.prompt, attempted=attempted)
    if not plan.crowded or not large:  # what is small stays, though its part is over
        return {}
    room = max(least, together - plan.excess)
    for each, count in large:
        if each.compressed is not None and each.compressed.passes >= MOST_PASSES:
            raise _failed(step.name, step.model, each, count, count * room // together)
    return {
        each.done.step.name: max(1, int(count * room / together * MARGIN)) for each, count in large
    }


def _too_long(model: str, window: int, tokens: int, *, attempted: bool) -> ContextBudgetExceeded:
    shortened = ", though what was handed on was shortened" if attempted else ""
    return ContextBudgetExceeded(
        f"This model's maximum context length is {window} tokens. The prompt of its step has "
        f"{tokens} tokens{shortened}, and the answer takes some too; {model} cannot take it. Send "
        "less (context_length_exceeded).",
        details={
            "current_tokens": tokens,
            "budget": window,
            "model": model,
            "compression_attempted": attempted,
            "param": "messages",
            "reason": "context_length_exceeded",
        },
    )


def _failed(
    reader: str, model: str, handed: HandedOn, tokens: int, budget: int
) -> CompressionFailed:
    made = handed.compressed
    why = f" The last one failed: {made.problem}." if made is not None and made.problem else ""
    return CompressionFailed(
        f"The text of {handed.done.step.name} has {tokens} tokens and may have {budget} for "
        f"{reader} by {model}; {MOST_PASSES} passes did not shorten it so far.{why}",
        details={
            "current_tokens": tokens,
            "budget": budget,
            "model": model,
            "step": handed.done.step.name,
            "compression_attempted": True,
        },
    )
