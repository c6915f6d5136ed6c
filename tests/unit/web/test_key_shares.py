"""What one key may hold at once of what several share."""

import contextlib

import pytest

from web.live.key_shares import KeyShares
from workers.contract.errors import TemporaryResource


def test_a_key_holds_its_share_and_another_still_gets_in():
    shares = KeyShares(0.5, "places")
    with contextlib.ExitStack() as held:
        for _ in range(5):
            held.enter_context(shares.holding("alice", 10))
        with pytest.raises(TemporaryResource) as refused, shares.holding("alice", 10):
            pytest.fail("alice holds more than her share")
        assert "INFERENCE_MAX_KEY_SHARE" in refused.value.message
        assert refused.value.details == {"bound": "key_share", "limit": 5}
        assert refused.value.retry_after_ms
        held.enter_context(shares.holding("bob", 10))
    with shares.holding("alice", 10):
        pass


def test_everybody_may_hold_one_and_nobody_without_a_key_is_counted():
    shares = KeyShares(0.01, "places")
    with shares.holding("alice", 3), shares.holding(None, 3), shares.holding(None, 3):
        pass


def test_what_ends_in_an_error_is_given_back():
    shares = KeyShares(0.5, "places")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), shares.holding("alice", 2):
            _ = 1 / 0
