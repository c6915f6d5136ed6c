"""The suite of every engine, on vLLM."""

from tests.integration.engines.test_conformance import *  # noqa: F403
from tests.integration.engines.test_own_prompts import *  # noqa: F403
from tests.integration.engines.test_tools import *  # noqa: F403
