"""Modes on members of known accuracy: what theory promises holds, and no default does harm.

Everything is drawn from fixed seeds, so that a run is the same every time.
"""

import json
import math

import pytest

from orchestration.modes.agreement import cluster
from orchestration.modes.critique import CRITIC
from orchestration.modes.critique_verdict import NO_CHANGE, REVISE
from orchestration.modes.debate import PARTICIPANT
from orchestration.modes.ensemble import MEMBER
from tests.support.simulation import (
    RIGHT,
    Members,
    cast,
    expected,
    rounds_of,
    unanimous,
)

QUESTIONS = 300
#: Accuracies may differ by so much where they are said to be equal.
EQUAL = 0.02


def majority(answers):
    return answers[cluster(answers)[0][0]]


@pytest.mark.parametrize("members", [3, 5, 9])
@pytest.mark.parametrize("correlation", [0, 0.3, 1])
@pytest.mark.parametrize("accuracy", [0.3, 0.6, 0.8])
def test_a_vote_is_right_as_often_as_theory_says(accuracy, correlation, members):
    """Condorcet's theorem where members are independent; its bound where they are not."""
    drawn = Members(accuracy, correlation, seed=members)
    count = 3000
    right = 0
    for _ in range(count):
        ease = drawn.ease()
        right += majority([drawn.answer(ease) for _ in range(members)]) == RIGHT
    theory = expected(accuracy, correlation, members)
    assert abs(right / count - theory) < 4 * math.sqrt(theory * (1 - theory) / count)
    if correlation == 1:
        assert theory == accuracy  # members that err together add nothing
    elif accuracy > 0.5:
        assert theory > accuracy
    else:
        assert theory < accuracy  # a vote of members that are mostly wrong is worse than one


@pytest.mark.parametrize("preset", ["T2", "demo-consistency"])
@pytest.mark.parametrize(("accuracy", "correlation"), [(0.6, 0), (0.7, 0.2), (0.8, 0.3)])
def test_an_ensemble_beats_its_members(preset, accuracy, correlation):
    made, mode = cast(preset)
    members = sum(part.part == MEMBER for part in made.cast)
    right, each, _ = simulated(made, mode, Members(accuracy, correlation, seed=5))
    theory = expected(accuracy, correlation, members)
    assert right > max(each)
    assert abs(right - theory) < 4 * math.sqrt(theory * (1 - theory) / QUESTIONS)


@pytest.mark.parametrize(("accuracy", "correlation"), [(0.7, 0.2), (0.8, 0), (0.8, 0.3)])
def test_a_debate_that_ends_when_all_agree_saves_its_tokens(accuracy, correlation):
    """Beside one that goes all its rounds and is written up, at equal accuracy."""
    made, mode = cast("T4")
    right, _, steps = simulated(made, mode, Members(accuracy, correlation, seed=6))
    full = Members(accuracy, correlation, seed=6)
    rounds = int(made.bounds["max_rounds"])
    members = sum(part.part == PARTICIPANT for part in made.cast)
    full_right = sum(_whole_debate(full, members, rounds) == RIGHT for _ in range(QUESTIONS))
    assert abs(right - full_right / QUESTIONS) < 2 * EQUAL
    assert 1 - steps / mode.total_steps(made) >= 0.4
    assert unanimous(accuracy, correlation, members) > 0.4  # which is where it comes from


@pytest.mark.parametrize("preset", ["T4", "T2", "demo-consistency", "D2"])
@pytest.mark.parametrize(("accuracy", "correlation"), [(0.6, 0), (0.8, 0.3), (0.7, 1)])
def test_no_default_does_worse_than_its_lead_alone(preset, accuracy, correlation):
    made, mode = cast(preset)
    right, each, _ = simulated(made, mode, Members(accuracy, correlation, seed=7))
    assert right >= each[0] - EQUAL


@pytest.mark.parametrize(
    ("judges", "least", "most"),
    [
        (0.9, 0.1, 0.4),
        (0.5, -2 * EQUAL, 2 * EQUAL),  # one that guesses does no harm
        (0.3, -0.4, -0.05),  # one that is mostly wrong does, and nothing in the mode can tell
    ],
)
def test_a_critique_is_worth_what_its_critic_knows(judges, least, most):
    made, mode = cast("D2")
    right, alone, _ = simulated(made, mode, Members(0.7, 0, seed=8, judges=judges))
    assert least <= right - alone[0] <= most


def simulated(made, mode, drawn):
    """Shares of questions that the mode and each first answer had right, and the mean of steps."""
    right, steps, each = 0, 0, {}
    for _ in range(QUESTIONS):
        ease = drawn.ease()
        text, done = rounds_of(made, mode, lambda step, done, at=ease: _say(drawn, at, step, done))
        right += text == RIGHT
        steps += len(done)
        for finished in (done for done in done if done.round == 1):
            each[finished.step.name] = each.get(finished.step.name, 0) + (finished.text == RIGHT)
    shares = [count / QUESTIONS for count in each.values()]
    return right / QUESTIONS, shares, steps / QUESTIONS


def _say(drawn, ease, step, done):
    """A member's own answer, another one after it has read the others, or what most have said."""
    last = [
        finished
        for finished in done
        if finished.round == max((finished.round for finished in done), default=0)
    ]
    if step.part == CRITIC:
        believed = (last[-1].text == RIGHT) == drawn.happens(drawn.judges)
        return _critique(right=believed)
    if not last or step.part in (MEMBER, "generator"):
        return drawn.answer(ease)
    said = [finished.text for finished in last]
    if step.part != PARTICIPANT:
        return majority(said)
    own = next(
        finished.text
        for finished in last
        if finished.step.name.split("-")[1] == step.name.split("-")[1]
    )
    others = list(said)
    others.remove(own)
    return drawn.again(own, others)


def _whole_debate(drawn, members, rounds):
    ease = drawn.ease()
    said = [drawn.answer(ease) for _ in range(members)]
    for _ in range(rounds - 1):
        others = [said[:at] + said[at + 1 :] for at in range(members)]
        said = [drawn.again(own, beside) for own, beside in zip(said, others, strict=True)]
    return majority(said)


def _critique(*, right):
    verdict = {"verdict": NO_CHANGE, "score": 0.9, "defects": [], "contradictions": []}
    if not right:
        defect = {"problem": "it is wrong", "quote": ""}
        verdict = {**verdict, "verdict": REVISE, "score": 0.3, "defects": [defect]}
    return json.dumps(verdict)
