"""`GET /v1/jobs`: a caller's jobs, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import flask
from flask import Blueprint, Response

from web.access import auth
from web.operation import Answer, Operation, describe, query
from web.render import jobs as render_jobs
from web.schemas.refusals import excerpt, invalid
from web.schemas.responses import JOBS
from web.services import services
from workers.contract import errors
from workers.contract.job import JobState

blueprint = Blueprint("job_list", __name__)

#: Jobs of a page at most, and where the query does not say.
MOST, DEFAULT = 100, 20
PARAMETERS = (
    query("state", "Only jobs in this state.", {"type": "string", "enum": list(JobState)}),
    query("model", "Only jobs of this model.", {"type": "string"}),
    query(
        "limit",
        f"Jobs of a page; {DEFAULT} where it is left out.",
        {"type": "integer", "minimum": 1, "maximum": MOST},
    ),
    query("after", "The id of the last job of the page before.", {"type": "string"}),
)
_KNOWN = tuple(parameter["name"] for parameter in PARAMETERS)


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs are listed, and how many."""

    state: JobState | None
    model: str | None
    #: Id of the last job of the page before.
    after: str | None
    limit: int


@blueprint.get("/v1/jobs")
@describe(
    Operation(
        operation_id="listJobs",
        tag="Jobs",
        summary="Jobs of this key, the latest first.",
        description=(
            "Lists what was sent to `POST /v1/jobs` with the same API key, and its responses that "
            "are stored."
        ),
        parameters=PARAMETERS,
        answers={200: Answer("A page of jobs.", JOBS)},
        errors=(errors.ValidationFailed,),
    )
)
def index() -> Response:
    """Asynchronous jobs of this key, the latest first."""
    wanted = read_query(flask.request.args)
    entries = services().jobs.listed(
        auth.owner(),
        state=wanted.state,
        model=wanted.model,
        after=wanted.after,
        limit=wanted.limit + 1,
    )
    more = len(entries) > wanted.limit
    data = [render_jobs.entry(entry) for entry in entries[: wanted.limit]]
    return flask.jsonify(object="list", data=data, has_more=more)


def read_query(arguments: Mapping[str, str]) -> JobQuery:
    """The query in an address.

    Raises:
        ValidationFailed: a part is unknown or wrong; names it.
    """
    for name in arguments:
        if name not in _KNOWN:
            raise invalid(excerpt(name), f"is unknown; known: {', '.join(_KNOWN)}")
    state = arguments.get("state")
    if state is not None and state not in list(JobState):
        raise invalid("state", f"must be one of {', '.join(JobState)}")
    limit = arguments.get("limit", str(DEFAULT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 4 and 1 <= int(limit) <= MOST):
        raise invalid("limit", f"must be a whole number from 1 to {MOST}")
    return JobQuery(
        state=None if state is None else JobState(state),
        model=arguments.get("model"),
        after=arguments.get("after"),
        limit=int(limit),
    )
