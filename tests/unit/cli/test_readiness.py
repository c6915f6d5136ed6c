"""What `up` makes of a front end that is not ready."""

import pytest

from web.cli.up.readiness import of_body

LOADED = {"id": "a", "status": "loaded"}
FAILED = {"id": "b", "status": "failed", "error": {"code": "X", "message": "no file"}}
LOADING = {"id": "c", "status": "loading", "progress": 0.4}
MISSING = {"id": "d", "status": "available"}


@pytest.mark.parametrize(
    ("models", "serving", "failed"),
    [
        ([LOADED, FAILED], ("a",), {"b": "no file"}),
        # What may still come is waited for.
        ([LOADED, FAILED, LOADING], (), {"b": "no file"}),
        ([LOADED, MISSING], (), {}),
        ([FAILED], (), {"b": "no file"}),
        ([], (), {}),
    ],
)
def test_some_serve_once_nothing_more_is_to_come(models, serving, failed):
    seen = of_body({"reason": "because", "progress": "1/2", "models": models})
    assert (seen.is_whole, seen.reason) == (False, "because [1/2]")
    assert (seen.serving, seen.failed) == (serving, failed)


def test_a_body_of_another_kind():
    assert of_body({}).reason == "not ready []"
