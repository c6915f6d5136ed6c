"""The suite of every engine, on the whole model."""

from tests.integration.engines.test_conformance import *  # noqa: F403
from tests.integration.engines.test_sampling import *  # noqa: F403
