"""`GET /metrics`."""

from __future__ import annotations

import flask
from flask import Blueprint, Response

from web.operation import Answer, Operation, describe
from web.services import services

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@describe(
    Operation(
        operation_id="getMetrics",
        tag="Health and description",
        summary="The metrics of all processes, as Prometheus reads them.",
        description=(
            "Any front end answers for all of them, in Prometheus' text format, or in OpenMetrics "
            "where `Accept` asks for it. [OBSERVE.md](OBSERVE.md) has every name. While Redis is "
            "away there is `inference_redis_up 0` and nothing else."
        ),
        answers={200: Answer("The metrics, as text.")},
    )
)
def show() -> Response:
    """The metrics of all processes."""
    accept = flask.request.headers.get("Accept", "")
    text, media_type = services().exposition.text(accept)
    return Response(text, content_type=media_type)
