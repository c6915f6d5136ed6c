"""Mode `single`: one model answers what its caller sent, once or with several choices."""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.conversation import Conversation
from orchestration.modes.base import Mode, Reading
from orchestration.modes.casting import CastingInputs
from orchestration.modes.registry import register
from orchestration.modes.rounds import FinishedStep, History, JobAnswer, Next, Round, Step
from workers.contract.job import COMPRESS, DEFAULT_MODE, CastMember, Job
from workers.contract.step import ANSWER, Usage, answer_step


@register
class Single(Mode):
    """One step, or one for each choice.

    Of one step its worker writes the terminal event itself: there is nothing to decide. Choices run
    at once as far as there are places, and the job ends with the last; one that fails is the job's
    failure, since an answer has no word for a choice that is missing.
    """

    name = DEFAULT_MODE
    asks_as_sent = True

    @classmethod
    def cast(cls, inputs: CastingInputs) -> tuple[CastMember, ...]:
        """No model beside the one that answers."""
        return ()

    def total_steps(self, job: Job) -> int:
        """See `Mode.total_steps`."""
        return job.choices

    def plan(self, job: Job) -> Round:
        """See `Mode.plan`. Where old turns may have to be shortened, counting comes first."""
        if job.compression == COMPRESS and Conversation.of(job.messages).old:
            return Round(())
        steps = tuple(Step(answer_step(at), ANSWER, job.model) for at in range(job.choices))
        alone = job.choices == 1
        return Round(steps, ends_job=alone, needs_all=not alone)

    def advance(self, job: Job, history: History) -> Next:
        """All choices are there."""
        choices = list(history.done.values())
        usage = _usage(choices, prompts=max(1, len(job.prompts)))
        return JobAnswer(choices[0], self.total_steps(job), facts={"rounds": 1}, usage=usage)

    def read(self, job: Job, done: FinishedStep) -> Reading:
        """Nothing: the text goes to the caller as the model said it."""
        return Reading(judges=True)


def _usage(choices: Sequence[FinishedStep], prompts: int) -> Usage:
    """The tokens of all answers, and once those of each prompt, as OpenAI counts.

    Of a prompt counts what the choice that read most of it found in the cache.
    """
    each = len(choices) // prompts
    used = [done.outcome.usage for done in choices]
    sharing = [used[begin : begin + each] for begin in range(0, len(used), each)]
    return Usage(
        prompt_tokens=sum(max(usage.prompt_tokens for usage in group) for group in sharing),
        completion_tokens=sum(usage.completion_tokens for usage in used),
        cached_tokens=sum(min(usage.cached_tokens for usage in group) for group in sharing),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in used),
        accepted_prediction_tokens=sum(usage.accepted_prediction_tokens for usage in used),
        rejected_prediction_tokens=sum(usage.rejected_prediction_tokens for usage in used),
    )
