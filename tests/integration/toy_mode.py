"""A toy mode, whole in this file: two or more models answer, and the longest answer counts.

Run with a command of `inference-service` it is that process with this mode. Nothing of the service
names it.
"""

from orchestration.modes import fallbacks
from orchestration.modes.base import Mode
from orchestration.modes.registry import register
from orchestration.modes.rounds import JobAnswer, Round, Step
from orchestration.prompts.template import Template
from orchestration.prompts.trajectory import Trajectory
from workers.contract.job import CastMember
from workers.contract.step import Assignment
from workers.store.planned import Patience

AUTHOR = Template("author", "{{ request }}\n\nAnswer in one sentence.\n", {"request": "r"})


@register
class Longest(Mode):
    """One round of all authors; the longest answer is the job's."""

    name = "longest"
    templates = (AUTHOR,)

    @classmethod
    def cast(cls, inputs):
        """The lead and every other configured model."""
        others = [spec.id for spec in inputs.others(inputs.lead.id)]
        if not others:
            raise inputs.missing("a second author")
        return tuple(CastMember("author", model) for model in (inputs.lead.id, *others))

    @classmethod
    def bounds(cls, settings, preset):
        """How long an author is waited for."""
        return {"timeout_s": settings.member_timeout_s}

    def total_steps(self, job):
        """As many as there are authors."""
        return len(job.cast)

    def plan(self, job):
        """All authors at once."""
        total = self.total_steps(job)
        steps = [
            Step(
                f"author-{number}",
                member.part,
                member.model,
                Assignment(
                    self._prompts.messages(job, AUTHOR, Trajectory(number, total, "author")),
                    job.sampling,
                ),
            )
            for number, member in enumerate(job.cast, start=1)
        ]
        return Round(tuple(steps), Patience(total, 0.0, float(job.bounds["timeout_s"])))

    def advance(self, job, history):
        """The longest text; without any the errors decide."""
        ended = list(history.done.values())
        usable = [done for done in ended if done.usable]
        if not usable:
            return fallbacks.fall_back(ended, self.total_steps(job))
        longest = max(usable, key=lambda done: len(done.text))
        facts = {"rounds": 1, "characters": len(longest.text)}
        return JobAnswer(longest, self.total_steps(job), facts=facts)


if __name__ == "__main__":
    from web.cli.main import cli

    cli()
