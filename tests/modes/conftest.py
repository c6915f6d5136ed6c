"""Services whose models answer together."""

import pytest

from tests.support.service import UP
from tests.support.service_fixture import SCRIPTED, service_fixture


def up(preset):
    """The command that starts a preset."""
    return (*UP, "--preset", preset)


#: Four answers of each model at once, a short end, and no request refused.
WIDE = {
    **SCRIPTED,
    "INFERENCE_MAX_CONCURRENT_PER_MODEL": "4",
    "INFERENCE_GRACE_S": "0.5",
    "INFERENCE_MAX_CONCURRENT_REQUESTS": "64",
}

scripted = service_fixture(
    "Three scripted models in a pipeline; they may be killed.",
    command=up("demo-pipeline"),
    **WIDE,
)
judged = service_fixture(
    "The same, and every text is judged by what was decided before it.",
    command=up("demo-pipeline"),
    INFERENCE_CONTRADICTION_JUDGE="true",
    **WIDE,
)
#: Stages whose models have 8,192, 32,768 and 16,384 tokens.
WINDOWS = """\
presets:
- id: windows
  models: [llama-3.2-3b, qwen2.5-7b, phi-4]
  mode: pipeline
  stages:
  - {stage: draft, model: llama-3.2-3b}
  - {stage: refine, model: qwen2.5-7b}
  - {stage: validate, model: phi-4}
  hardware: server
- id: long-documents
  models: [granite-8b-code-128k]
  mode: pipeline
  stages:
  - {stage: draft, model: granite-8b-code-128k}
  - {stage: validate, model: granite-8b-code-128k}
  hardware: server
"""


@pytest.fixture(scope="module")
def own_presets(tmp_path_factory):
    """A catalogue of a user's own with two presets."""
    directory = tmp_path_factory.mktemp("windows")
    (directory / "presets.yaml").write_text(WINDOWS)
    return directory


windows = service_fixture(
    "A pipeline over three windows.",
    command=up("windows"),
    INFERENCE_CATALOGUE_DIR=lambda request: str(request.getfixturevalue("own_presets")),
    **WIDE,
)
long_documents = service_fixture(
    "Two stages of a model of 131,072 tokens.",
    command=up("long-documents"),
    INFERENCE_CATALOGUE_DIR=lambda request: str(request.getfixturevalue("own_presets")),
    **WIDE,
)
gathered = service_fixture(
    "Three scripted models that answer at once, and are not waited for long.",
    scope="session",
    command=up("demo-ensemble"),
    INFERENCE_QUORUM_GRACE_S="0.5",
    INFERENCE_MEMBER_TIMEOUT_S="4",
    **WIDE,
)
