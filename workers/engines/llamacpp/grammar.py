"""Response formats as grammars that llama.cpp can hold an answer to."""

from __future__ import annotations

import json

from llama_cpp.llama_grammar import JSON_GBNF, json_schema_to_gbnf

from workers.contract.errors import ValidationFailed
from workers.contract.job import ResponseFormat, Sampling
from workers.contract.json_schema import UnsupportedSchema, check_schema
from workers.engines.llamacpp.grammar_gate import GrammarGate
from workers.engines.llamacpp.sampling import ConstrainedSampler, Sampler
from workers.engines.llamacpp.vocabulary import Vocabulary


def sampler(
    sampling: Sampling, vocabulary: Vocabulary, produced: tuple[int, ...], gate: GrammarGate
) -> Sampler:
    """The sampler of a request, held to its response format if it has one.

    `gate`: a fresh one, which knows where in the answer the format begins.

    Raises:
        ValidationFailed: the schema cannot be made into a grammar.
    """
    form = sampling.response_format
    if form is None:
        return Sampler(sampling, vocabulary, produced)
    try:
        return ConstrainedSampler(sampling, vocabulary, produced, _grammar(form), gate)
    # The converter says with these, and with nothing of its own, that it cannot.
    except (ValueError, AssertionError, KeyError, TypeError, RecursionError) as error:
        raise ValidationFailed(
            f"The schema of response_format cannot be made into a grammar: {error}",
            details={"param": "response_format"},
        ) from error


def _grammar(form: ResponseFormat) -> str:
    if form.schema is None:
        return str(JSON_GBNF)
    try:
        check_schema(form.schema)
    except UnsupportedSchema as error:
        raise ValueError(str(error)) from None
    return str(json_schema_to_gbnf(json.dumps(form.schema)))
