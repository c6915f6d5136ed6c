"""What chat clients send of tokens, on vLLM."""

from tests.integration.engines.test_sampling import *  # noqa: F403
