"""A constraint as the grammar that llguidance compiles, and what is refused or relaxed of it."""

from __future__ import annotations

import concurrent.futures
import functools
import json
from collections.abc import Mapping

from llguidance import LLMatcher, LLTokenizer

from workers.constraints import lark
from workers.constraints.bounds import LIMITS, require_bounded
from workers.contract.constraint import Constraint, ConstraintKind

#: Seconds that compiling one constraint may take. An honest one takes a tenth of that.
COMPILE_S = 3.0
#: What llguidance says of alternatives that could hold together.
_OVERLAPPING = "oneOf constraints are not supported"
#: What a caller reads where that is relaxed.
ONE_OF_RELAXED = "oneOf is held to as anyOf: an answer may follow several of its alternatives"
#: A short reason is enough: the library quotes the source.
_LONGEST_REASON = 300


class Unobeyable(ValueError):
    """No answer can be held to it; the message goes on from its name and says why."""


def of(constraint: Constraint, *, one_of_is_any_of: bool = True, lenient: bool = False) -> str:
    """The grammar in llguidance's form. It is not compiled.

    `lenient`: what llguidance does not know of a schema is passed over.

    Raises:
        Unobeyable: it is too large, or has a part that nothing can be held to.
    """
    try:
        require_bounded(constraint)
    except ValueError as error:
        raise Unobeyable(str(error)) from None
    match constraint.kind:
        case ConstraintKind.JSON_OBJECT:
            return _json({"type": "object"}, one_of_is_any_of, lenient)
        case ConstraintKind.JSON_SCHEMA:
            return _json(constraint.source, one_of_is_any_of, lenient)
        case ConstraintKind.REGEX:
            return LLMatcher.grammar_from_regex(constraint.source)
        case ConstraintKind.CHOICE:
            if not constraint.source:
                raise Unobeyable("has no items to choose from")
            return LLMatcher.grammar_from_lark(
                "start: " + " | ".join(lark.literal(text) for text in constraint.source)
            )
        case ConstraintKind.LARK:
            return LLMatcher.grammar_from_lark(constraint.source)


def check(
    constraint: Constraint, *, lenient: bool = False, within_s: float | None = None
) -> tuple[str, ...]:
    """Compile it without a model; returns what of it is relaxed.

    `lenient`: what llguidance does not know of a schema is relaxed, too. `within_s`: COMPILE_S
    where it is None.

    Raises:
        Unobeyable: it cannot be obeyed; names what.
    """
    done = _compilers().submit(_compile, constraint, lenient)
    try:
        return done.result(COMPILE_S if within_s is None else within_s)
    except concurrent.futures.TimeoutError:
        done.cancel()
        raise Unobeyable(f"takes longer than {COMPILE_S:g} s to compile; send less") from None


def text_follows(constraint: Constraint, text: str) -> bool:
    """Whether a whole text is one that the constraint allows; JSON in any order of its properties.

    Raises:
        Unobeyable: it cannot be obeyed.
    """
    compiled = of(constraint)
    return any(_accepts(compiled, form) for form in (text, _in_order(constraint, text)))


def _accepts(compiled: str, text: str) -> bool:
    matcher = LLMatcher(_bytes(), compiled, log_level=0, limits=LIMITS)
    if matcher.is_error():
        raise Unobeyable(f"cannot be held to: {reason(matcher.get_error())}")
    return matcher.consume_tokens(list(text.strip().encode())) and matcher.is_accepting()


def _in_order(constraint: Constraint, text: str) -> str:
    """A JSON text with its properties as the schema names them: a mask lets them come so."""
    if constraint.kind is not ConstraintKind.JSON_SCHEMA:
        return text
    ranks: dict[str, int] = {}
    level = [constraint.source]
    while level:
        below: list[object] = []
        for node in level:
            if isinstance(node, Mapping):
                for name in node.get("properties") or ():
                    ranks.setdefault(name, len(ranks))
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
        level = below

    def ordered(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return dict(sorted(pairs, key=lambda pair: ranks.get(pair[0], len(ranks))))

    try:
        return json.dumps(json.loads(text, object_pairs_hook=ordered), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def reason(error: str) -> str:
    """The library's reason on one line of bounded length."""
    line = " ".join(error.replace("<non-verbose/>", "").split())
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def reads(pattern: str) -> bool:
    """Whether a regular expression is one that llguidance can hold a text to."""
    return _problem(LLMatcher.grammar_from_regex(pattern)) is None


def _compile(constraint: Constraint, lenient: bool) -> tuple[str, ...]:
    problem = _problem(of(constraint, one_of_is_any_of=False))
    if problem is None:
        return ()
    if _OVERLAPPING in problem and constraint.kind is ConstraintKind.JSON_SCHEMA:
        problem = _problem(of(constraint))
        if problem is None:
            return (ONE_OF_RELAXED,)
    if lenient and _problem(of(constraint, lenient=True)) is None:
        return (reason(problem),)
    raise Unobeyable(f"cannot be held to: {reason(problem)}")


def _problem(grammar: str) -> str | None:
    """Why a grammar allows nothing, over the 256 bytes as tokens; None where it allows something.

    The first mask shows what compiling does not: a grammar that has no text at all.
    """
    matcher = LLMatcher(_bytes(), grammar, log_level=0, limits=LIMITS)
    if not matcher.is_error():
        matcher.compute_bitmask()
    if not matcher.is_error():
        return None
    if matcher.stop_reason().startswith("NoExtension"):
        return "no text follows it"
    return matcher.get_error()


def _json(schema: object, one_of_is_any_of: bool, lenient: bool) -> str:
    if isinstance(schema, bool):
        schema = {} if schema else {"anyOf": []}
    if not isinstance(schema, Mapping):
        raise Unobeyable("must be an object")
    if "x-guidance" in schema:
        raise Unobeyable("has x-guidance, by which JSON would not be held to JSON")
    try:
        return LLMatcher.grammar_from_json_schema(
            dict(schema),
            overrides={
                "whitespace_pattern": lark.WHITE_SPACE,
                "lenient": lenient,
                "coerce_one_of": one_of_is_any_of,
            },
        )
    except (ValueError, TypeError) as error:
        raise Unobeyable(f"cannot be read: {reason(str(error))}") from None


@functools.cache
def _bytes() -> LLTokenizer:
    """A vocabulary of single bytes."""
    return LLTokenizer("byte")


@functools.cache
def _compilers() -> concurrent.futures.ThreadPoolExecutor:
    """Two threads: what takes minutes in spite of all bounds keeps nobody's but one of them."""
    return concurrent.futures.ThreadPoolExecutor(2, "compile-constraint")
