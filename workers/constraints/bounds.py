"""How large a constraint may be, and how much work a row of its mask may make.

llguidance compiles within its own limits, but a few sources cost minutes all the same: they are
refused by what they say. The figures are of one core of a server's CPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from llguidance import LLParserLimits

from workers.contract.constraint import Constraint, ConstraintKind

#: Bytes of a constraint's source. OpenAI takes 120,000 characters of names and values in a schema;
#: this much of properties compiles in a quarter of a second, and ten times as much in ten seconds.
MOST_BYTES = 128 * 1024
#: Texts to choose from.
MOST_CHOICES = 5000
#: Rules of a grammar in GBNF: their kinds are found in passes over all of them.
MOST_GBNF_RULES = 1000
#: Least common multiple of all that numbers must be multiples of: it becomes that many states, and
#: 1.2 million of them take fifteen seconds.
MOST_MULTIPLE = 100_000
#: Levels of groups in a grammar or regular expression, which are read recursively.
DEEPEST = 64

#: What one constraint may cost llguidance. Its own default for items in a row is too small for an
#: object of 1,000 optional properties (4,007); its others let one mask take a second and more.
LIMITS = LLParserLimits(
    max_items_in_row=20_000,
    initial_lexer_fuel=400_000,
    step_lexer_fuel=50_000,
    step_max_items=8_000,
    max_lexer_states=50_000,
    max_grammar_size=250_000,
    # Its long form prints the caller's whole grammar.
    verbose_errors=False,
)


class TooLarge(ValueError):
    """The constraint is over a bound; the message names it."""


class NotText(ValueError):
    """The constraint's source is no Unicode text."""


def require_bounded(constraint: Constraint) -> None:
    """Refuse by size what llguidance need not look at.

    Raises:
        TooLarge: names the bound.
        NotText: it cannot be encoded.
    """
    source = constraint.source
    try:
        text = source if isinstance(source, str) else json.dumps(source, ensure_ascii=False)
    except RecursionError:
        raise TooLarge("is nested too deeply") from None
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise NotText("holds half of a surrogate pair, which is no Unicode text") from None
    if size > MOST_BYTES:
        raise TooLarge(f"has {size} bytes; {MOST_BYTES} are taken at most")
    if constraint.kind is ConstraintKind.CHOICE and len(source) > MOST_CHOICES:
        raise TooLarge(f"has {len(source)} items; {MOST_CHOICES} are taken at most")
    if constraint.kind is ConstraintKind.JSON_SCHEMA:
        _require_small_multiple(source)
    elif constraint.kind in (ConstraintKind.REGEX, ConstraintKind.LARK):
        _require_shallow(text)
    # A schema inside a grammar is not read here, and its names may be spelled in escapes.
    embeds = constraint.kind is ConstraintKind.LARK and "%json" in text
    if embeds and ("multipleOf" in text or "\\u" in text):
        raise TooLarge("has multipleOf or \\u in a schema; send that schema as json_schema")


def _require_shallow(text: str) -> None:
    depth = 0
    for mark in text:
        if mark in "([{":
            depth += 1
            if depth > DEEPEST:
                raise TooLarge(f"is nested deeper than {DEEPEST} levels")
        elif mark in ")]}":
            depth = max(0, depth - 1)


def _require_small_multiple(schema: Any) -> None:
    common = Fraction(1)
    for divisor in _divisors(schema):
        common = Fraction(
            math.lcm(common.numerator, divisor.numerator),
            math.gcd(common.denominator, divisor.denominator),
        )
        states = common.numerator * max(1, divisor.denominator)
        if states > MOST_MULTIPLE:
            raise TooLarge(f"has multipleOf whose common multiple is over {MOST_MULTIPLE}")


def _divisors(schema: Any) -> Iterator[Fraction]:
    """Every `multipleOf`, wherever it stands: `$ref` reaches everything."""
    level = [schema]
    while level:
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                value = node.get("multipleOf")
                if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
                    yield Fraction(str(value))
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
        level = below
