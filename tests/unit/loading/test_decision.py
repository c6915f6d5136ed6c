"""The keeper's decisions, row by row: what is, and what is done about it."""

import pytest

from workers.cluster.orders import LoadRequest, Order, Target, Why
from workers.contract.errors import InsufficientMemory, ModelLoadFailed, NoWorker
from workers.loading.decision import STARTED_WITHIN_MS, LoadDecision, Policy, TurnedAway, decide
from workers.loading.model_state import ModelState, Phase

NOW = 1_000_000
#: MemoryPool for one model of 10 bytes, or for two of 5.
ROOM = 10
MB = 2**20
DEMAND = Policy(on_demand=True)
SWAP = Policy(on_demand=True, swap=True, max_wait_ms=60_000, grace_s=7)


def state(model, phase, **fields):
    return ModelState(model, phase, **{"needed_bytes": 10, "available_bytes": 1000, **fields})


def loaded(model, **fields):
    return state(model, Phase.LOADED, **{"loaded_ms": 1, "used_ms": 1, **fields})


def wanted(model, since_ms=NOW, **fields):
    return state(model, Phase.ABSENT, waiting=1, demanded_ms=since_ms, **fields)


def load_request(model, target, since_ms=NOW, **fields):
    return LoadRequest(model, target, since_ms, **fields)


def order(model, target, why=Why.ASKED, since_ms=NOW, **fields):
    return Order(model, target, why, since_ms, **fields)


def done(states, policy=SWAP, room=ROOM, now_ms=NOW):
    """What is decided, each as (model, what)."""
    decisions = decide(states, room, now_ms, policy)
    return [(d.model, _what(d)) for d in decisions]


def _what(decision: LoadDecision):
    if decision.error is not None:
        return decision.error.code, decision.turned_away.name
    return "settled" if decision.target is None else f"{decision.target} {decision.why}"


ASKED = {"load_request": load_request("a", Target.LOADED)}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        # What is asked for by name.
        ([state("a", Phase.ABSENT, **ASKED)], [("a", "loaded asked")]),
        ([state("a", Phase.UNLOADED, **ASKED)], [("a", "loaded asked")]),
        ([state("a", Phase.LOADING, **ASKED)], [("a", "settled")]),
        ([loaded("a", **ASKED)], [("a", "settled")]),
        ([state("a", Phase.UNLOADING, **ASKED)], []),
        (
            [state("a", Phase.FAILED, failure=ModelLoadFailed().to_dict(), **ASKED)],
            [("a", "loaded asked")],
        ),
        (
            [state("a", Phase.ABSENT, missing="looked there", **ASKED)],
            [("a", ("MODEL_LOAD_FAILED", "NONE"))],
        ),
        # It swaps nobody out, and waits for who leaves.
        (
            [state("a", Phase.ABSENT, **ASKED), loaded("b")],
            [("a", ("INSUFFICIENT_MEMORY", "NONE"))],
        ),
        ([state("a", Phase.ABSENT, **ASKED), state("b", Phase.UNLOADING)], []),
        (
            [state("a", Phase.ABSENT, **ASKED), state("b", Phase.LOADING)],
            [("a", ("INSUFFICIENT_MEMORY", "NONE"))],
        ),
        (
            [state("a", Phase.ABSENT, needed_bytes=5, **ASKED), loaded("b", needed_bytes=5)],
            [("a", "loaded asked")],
        ),
        ([loaded("a", load_request=load_request("a", Target.UNLOADED))], [("a", "unloaded asked")]),
        (
            [state("a", Phase.ABSENT, load_request=load_request("a", Target.UNLOADED))],
            [("a", "unloaded asked")],
        ),
        # Two of them, room for one: the first.
        (
            [
                state("a", Phase.ABSENT, load_request=load_request("a", Target.LOADED, 2)),
                state("b", Phase.ABSENT, load_request=load_request("b", Target.LOADED, 1)),
            ],
            [("b", "loaded asked"), ("a", ("INSUFFICIENT_MEMORY", "NONE"))],
        ),
        # Requests that wait for a model.
        ([wanted("a")], [("a", "loaded demand")]),
        ([wanted("a", loadable=False)], []),
        ([wanted("a", missing="looked there")], [("a", ("MODEL_LOAD_FAILED", "ALL"))]),
        ([state("a", Phase.LOADING, waiting=1)], []),
        ([wanted("a", 2), wanted("b", 1)], [("b", "loaded demand")]),
        ([wanted("a", needed_bytes=11)], [("a", ("INSUFFICIENT_MEMORY", "ALL"))]),
        ([wanted("a", needed_bytes=11), loaded("b")], [("a", ("INSUFFICIENT_MEMORY", "ALL"))]),
        # An idle model makes room at once, the one used longest ago first.
        ([wanted("a"), loaded("b")], [("b", "unloaded swap")]),
        (
            [
                wanted("a", needed_bytes=5),
                loaded("b", needed_bytes=5, used_ms=9),
                loaded("c", needed_bytes=5, used_ms=8),
            ],
            [("c", "unloaded swap")],
        ),
        (
            [wanted("a"), loaded("b", needed_bytes=5), loaded("c", needed_bytes=5)],
            [("b", "unloaded swap"), ("c", "unloaded swap")],
        ),
        ([wanted("a"), state("b", Phase.UNLOADING)], []),
        # Not one that was loaded for somebody who has not been answered yet.
        ([wanted("a", 1), loaded("b", waiting=1, loaded_ms=NOW - 60_000, used_ms=0)], []),
        # A busy one after the longest wait.
        ([wanted("a", NOW - 59_999), loaded("b", running=1)], []),
        ([wanted("a", NOW - 60_000), loaded("b", running=1)], [("b", "unloaded swap")]),
        ([wanted("a", NOW - 60_000), loaded("b", waiting=1)], [("b", "unloaded swap")]),
        # Which is shared by all that wait: the first is next, and none overtakes.
        (
            [wanted("a", NOW - 30_000), wanted("c", NOW - 29_000), loaded("b", running=1)],
            [("b", "unloaded swap")],
        ),
        ([wanted("a", NOW - 29_000), wanted("c", NOW - 28_000), loaded("b", running=1)], []),
        (
            [
                wanted("a", 1),
                wanted("c", 2, needed_bytes=5),
                loaded("b", running=1, needed_bytes=5, loaded_ms=NOW - 29_000),
            ],
            [],
        ),
        # What was tried in vain.
        (
            [state("a", Phase.FAILED, failure=ModelLoadFailed().to_dict(), waiting=1)],
            [("a", ("MODEL_LOAD_FAILED", "ALL"))],
        ),
        (
            [wanted("a", order=order("a", Target.UNLOADED, error=ModelLoadFailed().to_dict()))],
            [("a", ("MODEL_LOAD_FAILED", "ALL"))],
        ),
        (
            [wanted("a", order=order("a", Target.UNLOADED, error=InsufficientMemory().to_dict()))],
            [("a", "loaded demand")],
        ),
    ],
)
def test_with_swapping(states, expected):
    assert done(states) == expected


@pytest.mark.parametrize(
    ("why", "expected"),
    [
        (Why.IDLE, [("a", "loaded demand")]),
        (Why.SWAP, [("a", "loaded demand")]),
        (Why.ASKED, [("a", ("NO_WORKER", "SYNCHRONOUS"))]),
    ],
)
def test_what_was_accepted_before_the_model_left(why, expected):
    """Nothing loads on demand; only what somebody unloaded by name stays unloaded."""
    assert done([wanted("a", order=order("a", Target.UNLOADED, why))], Policy()) == expected


def test_nothing_is_loaded_on_demand_unless_set():
    assert done([wanted("a")], Policy()) == []


def test_without_swapping_the_one_there_stays():
    assert done([wanted("a"), loaded("b")], DEMAND) == [("a", ("INSUFFICIENT_MEMORY", "ALL"))]


@pytest.mark.parametrize(
    ("fields", "leaves"),
    [
        ({"used_ms": NOW - 5000}, True),
        ({"used_ms": NOW - 4999}, False),
        ({"used_ms": 0, "loaded_ms": NOW - 4999}, False),
        ({"used_ms": 1, "running": 1}, False),
        ({"used_ms": 1, "waiting": 1}, False),
    ],
)
def test_idle_models_leave(fields, leaves):
    decisions = done([loaded("a", **fields)], Policy(idle_ms=5000))
    assert decisions == ([("a", "unloaded idle")] if leaves else [])


def test_answers_get_as_long_as_they_take_where_nothing_would_go_on_with_them():
    asked = loaded("a", load_request=load_request("a", Target.UNLOADED))
    (alone,) = decide([asked], ROOM, NOW, Policy(grace_s=7))
    (on_demand,) = decide([asked], ROOM, NOW, SWAP)
    assert (alone.grace_s, on_demand.grace_s) == (None, 7)


@pytest.mark.parametrize("since_ms", [NOW - STARTED_WITHIN_MS - 1, NOW])
@pytest.mark.parametrize("fields", [{}, {"present": True}, {"loaded_ms": 5}])
def test_a_process_that_never_came(since_ms, fields):
    ordered = order("a", Target.LOADED, since_ms=since_ms)
    decisions = done([state("a", Phase.LOADING, order=ordered, waiting=1, **fields)])
    never = since_ms != NOW and not fields
    assert decisions == ([("a", ("MODEL_LOAD_FAILED", "ALL"))] if never else [])


def test_memory_that_others_take_counts_too():
    refused = [("a", ("INSUFFICIENT_MEMORY", "ALL"))]
    assert done([wanted("a", available_bytes=9)], room=1000) == refused


@pytest.mark.parametrize(("counted", "granted"), [(True, True), (False, False)])
def test_what_is_being_loaded_counts_once(counted, granted):
    """Its worker says what it takes before it takes it; until then nobody else does."""
    decisions = done(
        [wanted("a", available_bytes=12), state("b", Phase.LOADING, counted=counted)], room=1000
    )
    assert decisions == ([("a", "loaded demand")] if granted else [])


def test_two_that_are_granted_at_once_are_counted_together():
    assert done([wanted("a", 1), wanted("b", 2), wanted("c", 3)], room=20) == [
        ("a", "loaded demand"),
        ("b", "loaded demand"),
    ]


def test_a_refusal_says_what_is_needed_what_is_free_and_who_is_there():
    asking = state("a", Phase.ABSENT, needed_bytes=200 * MB, available_bytes=1000 * MB, **ASKED)
    other = loaded("b", needed_bytes=150 * MB)
    (decision,) = decide([asking, other], 300 * MB, NOW, DEMAND)
    assert decision.error.details == {
        "model": "a",
        "needed_mb": 200,
        "available_mb": 150,
        "loaded": ["b"],
    }
    assert "b" in decision.error.message
    assert decision.load_request is asking.load_request


def test_orders_and_codes_belong_together():
    """What `routing` and the API take for granted of an order's error."""
    refused = wanted("a", needed_bytes=11)
    (decision,) = decide([refused], ROOM, NOW, DEMAND)
    given = decision.order(NOW)
    assert (given.target, given.why, given.error["code"]) == (
        Target.UNLOADED,
        Why.FAILED,
        InsufficientMemory.code,
    )
    assert decision.turned_away is TurnedAway.ALL
    assert NoWorker.retriable


def simulate(models, policy, seconds, load_ms=1000):
    """One place, models that are always asked for: when each was loaded, second by second."""
    holder, loading_until, since = None, 0, {}
    demanded = dict.fromkeys(models, NOW)
    turns = []
    for now_ms in range(NOW, NOW + seconds * 1000, 1000):
        states = []
        for model in models:
            if model != holder:
                states.append(wanted(model, demanded[model]))
            elif now_ms < loading_until:
                states.append(state(model, Phase.LOADING, waiting=1))
            else:
                since.setdefault(model, now_ms)
                states.append(
                    loaded(model, waiting=1, running=1, loaded_ms=since[model], used_ms=now_ms)
                )
        for decision in decide(states, ROOM, now_ms, policy):
            if decision.target is Target.UNLOADED:
                demanded[decision.model] = now_ms
                since.pop(decision.model, None)
                holder = None
            elif decision.target is Target.LOADED:
                turns.append((decision.model, now_ms - demanded[decision.model]))
                holder, loading_until = decision.model, now_ms + load_ms
    return turns


@pytest.mark.parametrize("count", [2, 3, 5])
def test_nobody_starves_where_all_are_always_asked_for(count):
    models = [f"m{number}" for number in range(count)]
    turns = simulate(models, SWAP, seconds=600)
    assert {model for model, _ in turns[count:]} == set(models)
    # The longest wait, and for each turn before one's own: a load, and a look at it.
    longest_s = SWAP.max_wait_ms / 1000 + 4 * count
    assert max(waited_ms for _, waited_ms in turns) <= longest_s * 1000


@pytest.mark.parametrize("forced", [True, False])
def test_what_was_forced_is_loaded_whatever_is_free(forced):
    request = load_request("a", Target.LOADED, forced=forced)
    asking = state(
        "a", Phase.UNLOADED, needed_bytes=200 * MB, available_bytes=0, load_request=request
    )
    (decision,) = decide([asking], 300 * MB, NOW, DEMAND)
    assert (decision.target is Target.LOADED) == forced
    assert decision.load_request is request


def test_a_model_whose_worker_fell_silent_a_moment_ago_is_waited_for():
    assert done([wanted("a")], DEMAND) == [("a", "loaded demand")]
    assert done([wanted("a", expected=True)], DEMAND) == []
