"""What asks a model for sense."""

from tests.integration.engines.test_hostile_prompts import (  # noqa: F401
    test_an_answer_goes_on_with_the_last_message,
)
from tests.integration.engines.test_llamacpp import (  # noqa: F401
    test_a_held_answer_goes_on_from_its_token_ids,
    test_a_held_answer_parses_or_is_cut_by_its_limit,
)
from tests.integration.engines.test_masks import (  # noqa: F401
    test_a_costly_grammar_ends_alone,
    test_the_model_answers_by_every_schema_of_the_reports,
)
from tests.integration.engines.test_reasoning import *  # noqa: F403
from tests.integration.engines.test_tools import *  # noqa: F403
