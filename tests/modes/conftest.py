"""Services whose models answer together."""

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
gathered = service_fixture(
    "Three scripted models that answer at once, and are not waited for long.",
    scope="session",
    command=up("demo-ensemble"),
    INFERENCE_QUORUM_GRACE_S="0.5",
    INFERENCE_MEMBER_TIMEOUT_S="4",
    **WIDE,
)
