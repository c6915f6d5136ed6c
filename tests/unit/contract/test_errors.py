import pytest

from workers.contract import errors


@pytest.mark.parametrize("kind", errors.BY_CODE.values(), ids=lambda kind: kind.code)
def test_every_error_speaks_and_travels(kind):
    error = kind(details={"a": 1})

    again = errors.InferenceError.from_dict(error.to_dict())

    assert error.message.endswith((".", "'"))
    assert type(again) is kind
    assert again.to_dict() == error.to_dict()
    assert (error.retry_after_ms is not None) == kind.retriable


def test_a_code_of_a_newer_version_becomes_internal():
    error = errors.InferenceError.from_dict({"code": "BRAND_NEW", "message": "what happened"})

    assert isinstance(error, errors.Internal)
    assert error.message == "what happened"


def test_codes_are_unique():
    leaves = [
        leaf
        for branch in (errors.Retriable, errors.NonRetriable)
        for leaf in branch.__subclasses__()
    ]
    assert len(leaves) == len({leaf.code for leaf in leaves}) == len(errors.BY_CODE)
