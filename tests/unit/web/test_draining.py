"""What a front end that ends closes, and when."""

from web.live.draining import CLOSES_BEFORE_S, Draining


def test_nothing_is_closed_before_the_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("web.live.draining.time.monotonic", lambda: now)
    draining, closed = Draining(grace_s=30), []
    with draining.closing(lambda: closed.append("stream")):
        draining.look()
        draining.begin()
        now += 30 - CLOSES_BEFORE_S - 0.1
        draining.begin()  # a second signal gives no more time
        draining.look()
        assert closed == []
        now += 0.2
        draining.look()
        draining.look()
        assert closed == ["stream"]


def test_what_has_ended_is_not_closed_and_what_comes_late_is():
    draining, closed = Draining(grace_s=0), []
    with draining.closing(lambda: closed.append("early")):
        pass
    draining.begin()
    draining.look()
    assert closed == []
    with draining.closing(lambda: closed.append("late")):
        assert closed == ["late"]
