"""Constraints for tests, and the schemas that public reports about comparable servers name."""

import json
from pathlib import Path

from workers.contract.constraint import Constraint, ConstraintKind

#: Each with a name, a schema, and instances that are right and wrong.
CASES = json.loads((Path(__file__).parent / "schemas.json").read_text())
#: The one whose first version stalled a sampler for minutes; every instance of it has no end.
AMBIGUOUS = CASES[-1]["schema"]


def json_schema(schema):
    return Constraint(ConstraintKind.JSON_SCHEMA, schema)


def regex(source):
    return Constraint(ConstraintKind.REGEX, source, "guided_regex")


def choice(*texts):
    return Constraint(ConstraintKind.CHOICE, texts, "guided_choice")


def lark(source):
    return Constraint(ConstraintKind.LARK, source, "guided_grammar")
