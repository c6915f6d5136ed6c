"""`POST /infill`: what stands in a gap, as editors' plugins for llama-server ask for it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from presets import capabilities
from web import intake
from web.edge import limits
from web.operation import Answer, Component, Operation, describe
from web.routes.completions import ANSWERING, respond
from web.schemas.body import read_object
from web.schemas.bounds import bounded
from web.schemas.completion_schema import BOUNDS
from web.schemas.responses import INFILL
from web.schemas.text_schema import InfillSchema
from web.services import services
from workers.contract.errors import ModelNotFound
from workers.contract.job import Api

blueprint = Blueprint("infill", __name__)

REQUEST = Component(
    "InfillRequest",
    InfillSchema,
    example={
        "input_prefix": "def add(a, b):\n    ",
        "input_suffix": "\n\nprint(add(1, 2))\n",
        "n_predict": 32,
    },
)
_STREAM = """\
id: 3
data: {"index":0,"content":"return","tokens":[],"stop":false,"tokens_predicted":1}

"""


@blueprint.post("/infill")
@describe(
    Operation(
        operation_id="createInfill",
        tag="Completions",
        summary="Fill a gap, as plugins of editors for llama-server ask for it.",
        description=(
            "Takes what llama.vim and llama.vscode send to llama-server, and answers in its form. "
            "What is far from the gap is left out where the context is too small: the beginning "
            "of the prefix, the end of the suffix, which keeps a quarter, and files of "
            "`input_extra`, of which the last ones stay.\n\n"
            "Without `model` the first loaded model answers that fills gaps. Names of samplers, "
            "limits of time and lists of response fields are taken and change nothing. A stream "
            "ends with the part that has `stop: true`."
        ),
        request=REQUEST,
        answers={
            200: Answer("What fills the gap; with `stream`, its parts.", INFILL, stream=_STREAM)
        },
        errors=ANSWERING,
    )
)
@bounded(BOUNDS)
def create() -> Response:
    """Fill a gap."""
    body = read_object()
    limits.release()
    if body.get("model") is None:
        body["model"] = _model()
    return respond(intake.read(body, api=Api.INFILL))


def _model() -> Any:
    """The first loaded model that fills gaps, for plugins that name none.

    Raises:
        ModelNotFound: no such model is loaded.
    """
    front_end = services()
    for spec in front_end.catalogue.all():
        if front_end.directory.serving(spec.id) and "fim" in capabilities.of(spec):
            return spec.id
    raise ModelNotFound(
        "No model that fills gaps is loaded. Load one whose capabilities in GET /v1/models have "
        "fim, or name it as model.",
        details={"param": "model"},
    )
