"""Members whose accuracy and correlation are known, and jobs that they answer, all in this process.

Every question has two answers, which is the hardest case for a vote: what is wrong is wrong in the
same way. How hard a question is, is drawn once for all members (beta-binomial), so that each is
right with `accuracy` and any two are right together with the correlation that was asked for.
"""

import math
import random
from dataclasses import dataclass, field

from orchestration.mode_selection import ModeSelector
from orchestration.modes.registry import classes, load
from orchestration.modes.rounds import JobAnswer
from orchestration.rounds.policy import decide
from presets.catalogue import Catalogue
from tests.support.finished_steps import ended
from workers.contract.job import Job, Message
from workers.settings.reading import read

RIGHT, WRONG = "yes", "no"
_CATALOGUE = Catalogue.load(None, "scripted")


class _NobodyBeside:
    def workers(self):
        return ()


class _Unread:
    """Templates for members that read nothing: rendering is not what is simulated."""

    def messages(self, job, *_, **__):
        return job.messages


@dataclass
class Members:
    """Who answers, and how they take what others say."""

    accuracy: float
    correlation: float
    seed: int
    #: How often one who sees only others of another mind joins them.
    joins: float = 0.7
    #: How often one changes its mind in a round for no reason.
    drifts: float = 0.02
    #: How often a critic's word about a text is true.
    judges: float = 0.75
    _random: random.Random = field(init=False)

    def __post_init__(self):
        self._random = random.Random(self.seed)

    def ease(self):
        """How likely one is right on a question that is drawn now."""
        if self.correlation == 0:
            return self.accuracy
        if self.correlation == 1:
            return float(self._random.random() < self.accuracy)
        spread = (1 - self.correlation) / self.correlation
        return self._random.betavariate(self.accuracy * spread, (1 - self.accuracy) * spread)

    def happens(self, chance):
        return self._random.random() < chance

    def answer(self, ease):
        return RIGHT if self.happens(ease) else WRONG

    def again(self, own, others):
        """What one says that has read the others."""
        alone = own not in others
        if self.happens(self.joins if alone else self.drifts):
            return RIGHT if own == WRONG else WRONG
        return own


def expected(accuracy, correlation, members):
    """How often more than half of an odd number of them are right, exactly."""
    if correlation == 1:
        return accuracy
    return sum(
        _of_binomial(members, right, accuracy, correlation)
        for right in range(members // 2 + 1, members + 1)
    )


def unanimous(accuracy, correlation, members):
    """How often all say the same, exactly."""
    if correlation == 1:
        return 1.0
    return sum(_of_binomial(members, right, accuracy, correlation) for right in (0, members))


def _of_binomial(members, right, accuracy, correlation):
    ways = math.comb(members, right)
    if correlation == 0:
        return ways * accuracy**right * (1 - accuracy) ** (members - right)
    spread = (1 - correlation) / correlation
    a, b = accuracy * spread, (1 - accuracy) * spread
    return ways * math.exp(_beta(right + a, members - right + b) - _beta(a, b))


def _beta(a, b):
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def cast(preset_id):
    """A job as a service with this preset and no other setting casts it, and its mode."""
    settings = read({"INFERENCE_CONFIG": preset_id, "INFERENCE_BACKEND": "scripted"}, None)
    mode_selector = ModeSelector(settings, _CATALOGUE, _NobodyBeside())
    preset = _CATALOGUE.preset(preset_id)
    lead = classes()[preset.mode].lead_of(preset)
    asked = Job("chatcmpl-1", lead, (Message("user", "Is it?"),), created=1, mode="")
    made = mode_selector.select(asked, _CATALOGUE.get(lead))
    mode = load(None)[made.mode]
    mode._prompts = _Unread()
    return made, mode


def rounds_of(made, mode, say):
    """Run a job to its end; `say` gives each step's text. Returns the answer and the steps."""
    done, next_, number = [], mode.plan(made), 0
    while not isinstance(next_, JobAnswer):
        assert len(done) <= mode.total_steps(made), done
        number += 1
        done += [ended(step, number, say(step, done)) for step in next_.steps]
        next_ = decide(made, mode, done).next
    return next_.done.text, done
