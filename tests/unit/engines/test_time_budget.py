"""The time that a request has outside decoding, and who sees that it is used up."""

import threading

import pytest

from workers.contract.errors import TimeBudgetExceeded
from workers.engines import time_budget
from workers.engines.time_budget import Cancelled, Preparations, TimeBudget


def test_a_budget_that_is_used_up_names_what_was_being_done():
    budget = TimeBudget(budget_s=-1)
    budget.phase = "tokenising the prompt"
    with pytest.raises(TimeBudgetExceeded, match="Tokenising the prompt took longer than") as over:
        budget.check()
    assert over.value.details["phase"] == "tokenising the prompt"
    TimeBudget().check()


def test_a_cancelled_request_stops_at_its_next_look():
    cancelled = threading.Event()
    budget = TimeBudget(cancelled)
    budget.check()
    cancelled.set()
    with pytest.raises(Cancelled):
        budget.check()


def test_a_request_that_is_prepared_too_long_is_seen_until_it_ends(monkeypatch):
    """By the watchdog: a call that asks nobody holds its thread whatever the budget says."""
    preparations = Preparations()
    with preparations.begin(threading.Event()):
        assert preparations.overdue_s < 0
        monkeypatch.setattr(time_budget, "BUDGET_S", -30.0)
        with preparations.begin(threading.Event()):
            assert preparations.overdue_s > 29
        assert preparations.overdue_s < 0
    assert preparations.overdue_s == 0
