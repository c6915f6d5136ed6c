"""The field `cache` of a chat completion."""

import pytest
from marshmallow import ValidationError

from orchestration.semantic.eligibility import CacheWishes
from web.schemas.cache_wishes import CacheField, refuses_cache


@pytest.mark.parametrize(
    ("said", "wishes"),
    [
        ("no-store", CacheWishes(no_store=True)),
        ({}, CacheWishes()),
        ({"no-store": True}, CacheWishes(no_store=True)),
        ({"no-cache": True, "no-store": False}, CacheWishes(no_store=True)),
        ({"user_specific": False}, CacheWishes(user_specific=False)),
        ({"any_temperature": True}, CacheWishes(any_temperature=True)),
    ],
)
def test_what_a_request_may_say(said, wishes):
    assert CacheField().deserialize(said) == wishes


@pytest.mark.parametrize("said", ["no-cache", 1, [], {"ttl": 3}, {"no_store": True}])
def test_what_it_may_not(said):
    with pytest.raises(ValidationError):
        CacheField().deserialize(said)


@pytest.mark.parametrize(
    ("header", "refuses"), [(None, False), ("max-age=0", False), ("max-age=0, No-Store", True)]
)
def test_the_header_says_it_too(header, refuses):
    assert refuses_cache(header) is refuses
