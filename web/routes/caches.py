"""`/v1/caches`: what is cached, and forgetting it.

Caches hold something of every caller, so once there are keys they are an operator's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flask
from flask import Blueprint, Response

from web.access import auth
from web.operation import Answer, Component, Operation, describe, path, query
from web.schemas.refusals import excerpt, invalid
from web.services import services
from workers.caches.cache import Cache, CacheEvent
from workers.contract import errors

blueprint = Blueprint("caches", __name__)

_COUNT = {"type": ["integer", "null"], "minimum": 0}
CACHES = Component(
    "Caches",
    {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "object", "entries", "bytes", "limit_bytes", "ttl_s"],
                    "properties": {
                        "id": {"type": "string"},
                        "object": {"type": "string", "const": "cache"},
                        "description": {"type": "string"},
                        "entries": {"type": "integer", "minimum": 0},
                        "bytes": {"type": "integer", "minimum": 0},
                        "limit_bytes": {"type": "integer", "minimum": 0},
                        "ttl_s": {"type": "integer", "minimum": 1},
                        "hits": _COUNT,
                        "misses": _COUNT,
                        "evictions": _COUNT,
                    },
                },
            }
        },
    },
    example={
        "object": "list",
        "data": [
            {
                "id": "compressions",
                "object": "cache",
                "description": "Texts between steps as the fast model has shortened them.",
                "entries": 12,
                "bytes": 18204,
                "limit_bytes": 67108864,
                "ttl_s": 3600,
                "hits": 7,
                "misses": 12,
                "evictions": 0,
            }
        ],
    },
)
CLEARED = Component(
    "ClearedCaches",
    {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "object", "dropped"],
                    "properties": {
                        "id": {"type": "string"},
                        "object": {"type": "string", "const": "cache.cleared"},
                        "dropped": {"type": "integer", "minimum": 0},
                    },
                },
            }
        },
    },
    example={
        "object": "list",
        "data": [{"id": "compressions", "object": "cache.cleared", "dropped": 12}],
    },
)
MODEL = query("model", "Only entries that depend on this model.", {"type": "string"})
_ADMIN = "Needs an admin key where there are keys."


@blueprint.get("/v1/caches")
@describe(
    Operation(
        operation_id="listCaches",
        tag="Caches",
        summary="What is cached, and how often that was of use.",
        description=(
            "Entries and bytes are those in Redis; hits, misses and evictions are counted over all "
            "processes, and null where `INFERENCE_METRICS_ENABLED` is false. "
            f"[CACHES.md](CACHES.md) says what is in each. {_ADMIN}"
        ),
        answers={200: Answer("Every cache.", CACHES)},
        errors=(errors.Forbidden,),
    )
)
def index() -> Response:
    """Every cache, by its name."""
    auth.require_admin("Looking at caches")
    return flask.jsonify(object="list", data=[_shown(each) for each in services().caches.values()])


@blueprint.delete("/v1/caches")
@describe(
    Operation(
        operation_id="clearCaches",
        tag="Caches",
        summary="Forget what all caches hold.",
        description=(
            "In Redis at once, and in every process within half a second. Running jobs make anew "
            f"what they need of it. {_ADMIN}"
        ),
        parameters=(MODEL,),
        answers={200: Answer("How many entries each cache has dropped.", CLEARED)},
        errors=(errors.ValidationFailed, errors.Forbidden),
    )
)
def clear_all() -> Response:
    """Forget what all caches hold, or what of it depends on one model."""
    return _cleared(services().caches)


@blueprint.delete("/v1/caches/<name>")
@describe(
    Operation(
        operation_id="clearCache",
        tag="Caches",
        summary="Forget what one cache holds.",
        description=f"As `DELETE /v1/caches`, for one of them. {_ADMIN}",
        parameters=(path("name", "The id of a cache.", "compressions"), MODEL),
        answers={200: Answer("How many entries it has dropped.", CLEARED)},
        errors=(errors.NotFound, errors.ValidationFailed, errors.Forbidden),
    )
)
def clear(name: str) -> Response:
    """Forget what one cache holds, or what of it depends on one model."""
    caches = services().caches
    if name not in caches:
        auth.require_admin("Clearing caches")
        raise errors.NotFound(
            f"There is no cache {excerpt(name)!r}; there are {', '.join(caches)}.",
            details={"cache": excerpt(name)},
        )
    return _cleared({name: caches[name]})


def _cleared(caches: Mapping[str, Cache]) -> Response:
    auth.require_admin("Clearing caches")
    for name in flask.request.args:
        if name != MODEL["name"]:
            raise invalid(excerpt(name), f"is unknown; known: {MODEL['name']}")
    model = flask.request.args.get(MODEL["name"])
    if model == "":
        raise invalid(MODEL["name"], "is empty; leave it out to forget what depends on any model")
    data = []
    for name, cache in caches.items():
        dropped = cache.clear() if model is None else cache.invalidate_by_model(model)
        data.append({"id": name, "object": "cache.cleared", "dropped": dropped})
    return flask.jsonify(object="list", data=data)


def _shown(cache: Cache) -> dict[str, Any]:
    kind, size = cache.kind, cache.size()
    counts: Mapping[CacheEvent, int] = {}
    if services().settings.metrics_enabled:
        counts = services().cache_counts(kind.name)
    return {
        "id": kind.name,
        "object": "cache",
        "description": kind.about,
        "entries": size.entries,
        "bytes": size.size_bytes,
        "limit_bytes": cache.most_bytes,
        "ttl_s": kind.ttl_s,
        "hits": counts.get(CacheEvent.HIT),
        "misses": counts.get(CacheEvent.MISS),
        "evictions": counts.get(CacheEvent.EVICTION),
    }
