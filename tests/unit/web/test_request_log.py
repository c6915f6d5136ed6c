"""What a request's line says of its completion."""

from types import SimpleNamespace

from orchestration.semantic.lookup import Hit, Miss, Skip
from web.live.request_log import _measured
from workers.contract.events import Completed
from workers.contract.step import Outcome, Timings, Usage

END = Completed(3, Outcome("answer", "m", 1, "stop", Usage(5, 3), Timings(), 8192))


def measured(lookup):
    return _measured(SimpleNamespace(end=END, lookup=lookup, first_token_ms=1.26))


def test_it_says_what_the_semantic_cache_had_where_it_was_asked():
    asked = (Hit((END,)), Miss(), Skip("temperature"))
    assert [measured(lookup)["cache"] for lookup in asked] == ["hit", "miss", "skip"]
    plain = measured(None)
    assert "cache" not in plain
    assert (plain["first_token_ms"], plain["completion_tokens"]) == (1.3, 3)
