"""Masks over the shipped model's vocabulary: what they let pass is what the schema takes."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import jsonschema_rs
import numpy as np
import pytest
from hypothesis import HealthCheck, strategies

from tests.integration.engines.conftest import ask, ask_all
from tests.support.constraints import AMBIGUOUS, CASES, choice, json_schema, lark, regex
from tests.support.waiting import wait_for
from workers.contract.errors import ConstraintFailed
from workers.engines import constraint_masks as module
from workers.engines.answer_form import Grammar
from workers.engines.constraint_masks import ConstraintMasks

#: Schemas tried.
SCHEMAS = 300
#: Tokens of a random answer before it is led to its end.
WANDERS = 25
#: Tokens in which an answer that takes the shortest way must have ended.
ENDS_WITHIN = 400
#: Rules whose texts can be read in very many ways: each mask is a thousand times an honest one.
COSTLY = lark('start: s\ns: s s s | s s | "a"')


@pytest.fixture(scope="module")
def masks(llamacpp):
    made = ConstraintMasks(llamacpp._vocabulary.tree, threads=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def soonest(llamacpp):
    """All tokens, those that end an answer soonest first."""
    vocabulary = llamacpp._vocabulary
    distances = [_distance(vocabulary.piece(token)) for token in range(vocabulary.size)]
    return np.array(sorted(range(vocabulary.size), key=distances.__getitem__))


def instance(masks, vocabulary, soonest, schema, seed):
    """A text that the masks let pass: tokens at random, then mostly those that end it soonest."""
    chosen = np.random.default_rng(seed)
    ends = [token for token in range(100) if vocabulary.ends_turn(token)]
    mask = masks.begin(Grammar.of(json_schema(schema)), ())
    text = b""
    for place in range(ENDS_WITHIN):
        assert mask.is_ready(10)
        allowed = mask.allowed()
        may_end = any(mask.allows(token) for token in ends)
        if may_end and (place >= WANDERS or len(allowed) <= len(ends)):
            return text.decode()
        nearest = soonest[np.isin(soonest, allowed)]
        # Not always the nearest: no number of ones alone is a multiple of ten.
        token = int(chosen.choice(allowed if place < WANDERS else nearest[: chosen.choice((1, 3))]))
        if vocabulary.ends_turn(token):
            return text.decode()
        text += vocabulary.piece(token)
        mask.take(token)
    raise AssertionError(f"no end after {text!r}")


#: What closes comes first, then what a value needs least of.
_SOONEST = (b'"}', b'"]', b'"', b"}", b"]", b"0", b"1", b"null", b"true", b":", b",")


def _distance(piece):
    try:
        return (_SOONEST.index(piece), 0)
    except ValueError:
        return (len(_SOONEST), len(piece) if piece.strip() else 1000)


#: Characters that the vocabulary has bytes for: it has none that begin a plane above these.
LETTERS = strategies.text(
    strategies.characters(exclude_categories=("Cs",), max_codepoint=0x3FFFF), max_size=8
)
SCALARS = strategies.one_of(
    strategies.just({"type": "null"}),
    strategies.just({"type": "boolean"}),
    strategies.builds(
        lambda least, span: {"type": "integer", "minimum": least, "maximum": least + span},
        strategies.integers(-1000, 1000),
        strategies.integers(0, 5000),
    ),
    strategies.builds(
        lambda step: {"type": "integer", "multipleOf": step}, strategies.integers(1, 12)
    ),
    strategies.builds(
        lambda least: {"type": "number", "exclusiveMinimum": least, "maximum": least + 2},
        strategies.integers(-5, 5),
    ),
    strategies.builds(
        lambda least, span: {"type": "string", "minLength": least, "maxLength": least + span},
        strategies.integers(0, 5),
        strategies.integers(0, 8),
    ),
    strategies.sampled_from(["^[a-c]{2,4}$", "^x+(y|z)?$", "^[0-9]{3}$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    strategies.sampled_from(["time", "ipv4", "uuid"]).map(
        lambda name: {"type": "string", "format": name}
    ),
    strategies.lists(
        strategies.one_of(LETTERS, strategies.integers(-9, 9), strategies.none()),
        min_size=1,
        max_size=4,
        unique_by=lambda value: json.dumps(value),
    ).map(lambda values: {"enum": values}),
    LETTERS.map(lambda value: {"const": value}),
)


def _object(properties, required, closed):
    names = sorted(properties)
    schema = {
        "type": "object",
        "properties": properties,
        "required": [name for place, name in enumerate(names) if place in required],
    }
    return {**schema, "additionalProperties": False} if closed else schema


def _compound(inner):
    return strategies.one_of(
        strategies.builds(
            _object,
            strategies.dictionaries(strategies.sampled_from("abcdé"), inner, max_size=4),
            strategies.sets(strategies.integers(0, 3)),
            strategies.booleans(),
        ),
        strategies.builds(
            lambda items, least, span: {
                "type": "array",
                "items": items,
                "minItems": least,
                "maxItems": least + span,
            },
            inner,
            strategies.integers(0, 2),
            strategies.integers(0, 2),
        ),
        strategies.builds(
            lambda first, second: {"type": "array", "prefixItems": [first, second], "items": False},
            inner,
            inner,
        ),
        strategies.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        inner.map(lambda schema: {"type": "object", "additionalProperties": schema}),
    )


def test_three_hundred_schemas_hold_random_answers(masks, llamacpp, soonest):
    ended = 0

    @hypothesis.settings(
        max_examples=SCHEMAS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(
        schema=strategies.recursive(SCALARS, _compound, max_leaves=6),
        seed=strategies.integers(0, 2**32),
    )
    def hold(schema, seed):
        nonlocal ended
        text = instance(masks, llamacpp._vocabulary, soonest, schema, seed)
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        # llguidance takes a leap second in any minute.
        validator.validate(json.loads(re.sub(r":60(?=[.Z+-])", ":59", text)))
        ended += 1

    hold()
    assert ended >= SCHEMAS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_right_instances_pass_and_wrong_ones_do_not(masks, llamacpp, case):
    """By the model's own tokens, whichever of them the text is cut into."""
    vocabulary = llamacpp._vocabulary

    def passes(value):
        mask = masks.begin(Grammar.of(json_schema(case["schema"])), ())
        for token in vocabulary.plain(json.dumps(value, ensure_ascii=False)):
            assert mask.is_ready(10)
            if not mask.allows(token):
                return False
            mask.take(token)
        assert mask.is_ready(10)
        return any(vocabulary.ends_turn(int(token)) for token in mask.allowed())

    assert all(map(passes, case["right"]))
    assert not any(map(passes, case["wrong"]))


@pytest.mark.usefixtures("sense")
def test_the_model_answers_by_every_schema_of_the_reports(real_kit, llamacpp):
    """At a temperature where it would keep to none by itself."""
    cases = [case for case in CASES if case["schema"] != AMBIGUOUS]
    requests = [
        real_kit.request(
            f"An object: {case['name']}.",
            constraint=json_schema(case["schema"]),
            temperature=1.2,
            seed=7,
            max_tokens=80,
        )
        for case in cases
    ]
    answers = ask_all(llamacpp, requests)
    stopped = 0
    for case, answer in zip(cases, answers, strict=True):
        if answer.reason == "stop":
            stopped += 1
            validator = jsonschema_rs.Draft202012Validator(case["schema"], validate_formats=True)
            validator.validate(json.loads(answer.text))
    assert stopped > len(cases) / 2


@pytest.mark.parametrize(
    ("constraint", "right"),
    [
        (regex(r"[A-Z][a-z]{2,8}\."), lambda text: text.endswith(".") and text[0].isupper()),
        (choice("Lisbon", "Oslo"), lambda text: text in ("Lisbon", "Oslo")),
        (lark('start: "(" /[0-9]{2}/ ")"'), lambda text: len(text) == 4 and text[1:3].isdigit()),
    ],
    ids=["regex", "choice", "lark"],
)
def test_other_constraints_hold_the_model(real_kit, llamacpp, constraint, right):
    answer = ask(llamacpp, real_kit.request(constraint=constraint, temperature=1.5, max_tokens=40))
    assert answer.reason == "stop"
    assert right(answer.text)


@pytest.mark.usefixtures("sense")
def test_a_costly_grammar_ends_alone(real_kit, llamacpp):
    """It has a part of a second of CPU for its masks; who decodes beside it goes on."""
    costly = real_kit.request("a costly one", constraint=COSTLY, max_tokens=None)
    honest = [real_kit.request(f"number {i}", max_tokens=24) for i in range(2)]
    with ThreadPoolExecutor(1) as thread:
        attack = thread.submit(ask, llamacpp, costly)
        for request, answer in zip(honest, ask_all(llamacpp, honest), strict=True):
            real_kit.assert_right(request, answer)
        with pytest.raises(ConstraintFailed, match="guided_grammar"):
            attack.result(60)


def test_the_ambiguous_schema_goes_on_at_the_pace_of_others(real_kit, llamacpp):
    """Every text of it is endless: it is cut by its limit."""
    endless = real_kit.request(constraint=json_schema(AMBIGUOUS), max_tokens=100)
    answer = ask(llamacpp, endless)
    assert answer.reason == "length"
    assert answer.usage.completion_tokens == 100


class Slow:
    """A mask that is made when the test says so."""

    def __init__(self, mask):
        self._mask = mask
        self.may_go_on = threading.Event()

    def __getattr__(self, name):
        return getattr(self._mask, name)

    def take(self, token):
        advance = self._mask.advance

        def late(tokens):
            self.may_go_on.wait(60)
            advance(tokens)

        self._mask.advance = late
        self._mask.take(token)


def test_who_waits_for_its_mask_holds_up_nobody(real_kit, llamacpp, monkeypatch):
    """It sits out steps; the answer is then the same as if the mask had been there."""
    held = real_kit.request("a held one", constraint=choice("Lisbon", "Oslo"), max_tokens=20)
    expected = ask(llamacpp, held).text
    monkeypatch.setattr(module, "WAIT_S", 60)  # the free one may take long on a busy machine
    begin, slow = ConstraintMasks.begin, []

    def begin_slowly(self, *arguments):
        slow.append(Slow(begin(self, *arguments)))
        return slow[-1]

    monkeypatch.setattr(ConstraintMasks, "begin", begin_slowly)
    free = real_kit.request("a free one", max_tokens=24)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(ask, llamacpp, held)
        wait_for(lambda: slow and slow[0].pending is not None)
        real_kit.assert_right(free, ask(llamacpp, free))
        assert not waiting.done()
        slow[0].may_go_on.set()
        assert waiting.result(30).text == expected


def test_a_mask_that_never_comes_is_given_up(real_kit, llamacpp, monkeypatch):
    monkeypatch.setattr(module, "WAIT_S", 0.2)
    begin, slow = ConstraintMasks.begin, []

    def begin_slowly(self, *arguments):
        slow.append(Slow(begin(self, *arguments)))
        return slow[-1]

    monkeypatch.setattr(ConstraintMasks, "begin", begin_slowly)
    held = real_kit.request("a held one", constraint=choice("Lisbon", "Oslo"), max_tokens=20)
    with pytest.raises(ConstraintFailed, match="longer than"):
        ask(llamacpp, held)
    slow[0].may_go_on.set()
