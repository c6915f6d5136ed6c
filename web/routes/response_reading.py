"""`/v1/responses/{id}`: a response that is kept, its events, its end, and what it was asked."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import flask
from flask import Blueprint, Response

from web import intake
from web.edge.connection import client_socket
from web.operation import Answer, Operation, describe, path, query
from web.render.response import input_items, response_events, response_stream
from web.schemas.refusals import excerpt, invalid
from web.schemas.response.components import DELETED, INPUT_ITEMS, RESPONSE
from web.services import services
from workers.contract import errors
from workers.store.records import JobRecord

blueprint = Blueprint("response_reading", __name__)

#: Items of a page at most, and where the query does not say; as in OpenAI's API.
_MOST, _DEFAULT = 100, 20
RESPONSE_ID = path("response_id", "A response's id.", "resp_5f1d0c5be6d04d3c9b8b7b6f1a9d2e33")
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 999_999_999}


@blueprint.get("/v1/responses/<response_id>")
@describe(
    Operation(
        operation_id="getResponse",
        tag="Responses",
        summary="A response that is kept: how far it is, or its events from any number on.",
        description=(
            "With `stream=true` its events come as server-sent events, each with its "
            "`sequence_number`, from the first or after `starting_after`, as often as one likes "
            "and by any number of readers. Reading and leaving change nothing about it."
        ),
        parameters=(
            RESPONSE_ID,
            query("stream", "Send its events.", {"type": "boolean"}),
            query("starting_after", "Send only events after this number.", _NUMBER),
        ),
        answers={200: Answer("The response; with `stream`, its events.", RESPONSE)},
        errors=(errors.JobNotFound, errors.ValidationFailed, errors.InvalidEventId),
    )
)
def retrieve(response_id: str) -> Response:
    """A response as it is, or its events."""
    record = intake.own_response(response_id)
    streams, after = flask.request.args.get("stream"), flask.request.args.get("starting_after")
    if streams not in (None, "true", "false"):
        raise invalid("stream", "must be true or false")
    if streams != "true":
        if after is not None:
            raise invalid("starting_after", "goes only with stream=true")
        return show(record)
    number = -1 if after is None else _cursor(record, after)
    with contextlib.ExitStack() as closing:
        closing.enter_context(services().thread())
        return stream(record, number, closing.pop_all())


@blueprint.post("/v1/responses/<response_id>/cancel")
@describe(
    Operation(
        operation_id="cancelResponse",
        tag="Responses",
        summary="Cancel a response that is not there yet.",
        description="One that has ended is shown as it is.",
        parameters=(RESPONSE_ID,),
        answers={200: Answer("The response, as it is now.", RESPONSE)},
        errors=(errors.JobNotFound,),
    )
)
def cancel(response_id: str) -> Response:
    """Cancel a response that has not ended, and show it."""
    if intake.own_response(response_id).ended_ms is None:
        services().jobs.cancel(response_id, "its caller cancelled it")
    return show(intake.own_response(response_id))


@blueprint.delete("/v1/responses/<response_id>")
@describe(
    Operation(
        operation_id="deleteResponse",
        tag="Responses",
        summary="Delete a response and its conversation; one that is not there yet is cancelled.",
        parameters=(RESPONSE_ID,),
        answers={200: Answer("It is deleted.", DELETED)},
        errors=(errors.JobNotFound,),
    )
)
def delete(response_id: str) -> Response:
    """Delete a response with everything that is kept of it."""
    if intake.own_response(response_id).ended_ms is None:
        services().jobs.cancel(response_id, "its caller deleted it")
    services().jobs.delete(response_id)
    return flask.jsonify(id=response_id, object="response", deleted=True)


@blueprint.get("/v1/responses/<response_id>/input_items")
@describe(
    Operation(
        operation_id="listInputItems",
        tag="Responses",
        summary="What a response was asked, item by item.",
        description="With what came before it, where it went on with another response.",
        parameters=(
            RESPONSE_ID,
            query(
                "limit",
                f"Items of a page; {_DEFAULT} where it is left out.",
                {"type": "integer", "minimum": 1, "maximum": _MOST},
            ),
            query(
                "order",
                "`desc`, the latest first, where it is left out.",
                {"type": "string", "enum": ["asc", "desc"]},
            ),
            query("after", "The id of the last item of the page before.", {"type": "string"}),
        ),
        answers={200: Answer("A page of items.", INPUT_ITEMS)},
        errors=(errors.JobNotFound, errors.ValidationFailed),
    )
)
def list_items(response_id: str) -> Response:
    """What a response was asked, page by page."""
    items = input_items.of_job(intake.own_response(response_id).job)
    return flask.jsonify(page(items, flask.request.args))


def show(record: JobRecord) -> Response:
    """A response as it is."""
    events = services().jobs.events(record.job.id)
    return flask.jsonify(response_stream.whole(record.job, events))


def stream(record: JobRecord, after: int, held: contextlib.ExitStack) -> Response:
    """The events of a response after the one of this number, as they come.

    `held`: the thread that it takes; closed at its end.
    """
    with held as closing:
        reader = closing.enter_context(services().hub.reader(record.job.id))
        connection = client_socket(flask.request.environ)
        closing.enter_context(services().disconnects.watching(connection, reader.leave))
        closing.enter_context(services().draining.closing(reader.stop))
        return response_events.respond(record.job, reader, closing.pop_all(), after)


def page(items: list[dict[str, Any]], arguments: Mapping[str, str]) -> dict[str, Any]:
    """A page of items, as the query of an address asks for it.

    Raises:
        ValidationFailed: a part of the query is wrong, or `after` is none of the items.
    """
    order = arguments.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid("order", "must be asc or desc")
    limit = arguments.get("limit", str(_DEFAULT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 4 and 1 <= int(limit) <= _MOST):
        raise invalid("limit", f"must be a whole number from 1 to {_MOST}")
    ordered = items if order == "asc" else items[::-1]
    if (after := arguments.get("after")) is not None:
        ids = [item["id"] for item in ordered]
        if after not in ids:
            raise invalid("after", "is no item of this response")
        ordered = ordered[ids.index(after) + 1 :]
    data = ordered[: int(limit)]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return {
        "object": "list",
        "data": data,
        "first_id": None,
        "last_id": None,
        **ends,
        "has_more": len(ordered) > len(data),
    }


def _cursor(record: JobRecord, given: str) -> int:
    """The number after which events are read.

    Raises:
        InvalidEventId: it is no number of an event that there is.
    """
    events = services().jobs.events(record.job.id)
    last = response_stream.replayed(record.job, events).last_number
    if given.isascii() and given.isdecimal() and len(given) < 10 and int(given) <= last:
        return int(given)
    quoted = excerpt(given)
    raise errors.InvalidEventId(
        f"starting_after {quoted!r} is no event of this response; it has 0 to {last}.",
        details={"param": "starting_after", "starting_after": quoted, "last": last},
    )
