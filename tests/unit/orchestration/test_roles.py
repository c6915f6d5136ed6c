"""The two tables of roles, row by row, and the order in which models are asked."""

import pytest

from orchestration.routing.roles import ANY, ROLES_FOR_ROLE, ROLES_OF, ranked, role_taken, roles_for
from presets.catalogue import Catalogue
from presets.model import ModelSpec
from presets.schema import ROLES

ROWS = {
    ("coder", "primary"): ["code", "debug", "refactor", "review", "test"],
    ("thinker", "primary"): ["analyze", "reason", "compare", "debate", "plan"],
    ("fast", "primary"): ["simple", "quick", "classify", "extract"],
    ("longctx", "thinker"): ["document", "summarize_long", "rag"],
    ("primary", ANY): ["general", "summarize", "explain", "chat"],
}


@pytest.mark.parametrize(
    ("task_type", "roles"), [(task, roles) for roles, tasks in ROWS.items() for task in tasks]
)
def test_a_task_type_asks_for_roles(task_type, roles):
    assert roles_for(task_type) == roles


@pytest.mark.parametrize("task_type", [None, "", "haiku", "coder", "Code"])
def test_everything_else_is_general(task_type):
    assert roles_for(task_type) == ("primary", ANY)


def test_there_are_no_other_rows():
    assert set(ROLES_OF) == {task for tasks in ROWS.values() for task in tasks}
    assert set(ROLES_FOR_ROLE) == set(ROLES)
    assert all(roles[0] == role for role, roles in ROLES_FOR_ROLE.items())


@pytest.mark.parametrize(
    ("model", "roles"),
    [
        ("llama-3.2-3b", "fast primary"),
        ("qwen2.5-7b", "coder primary"),
        ("qwen3-8b", "coder primary"),
        ("qwen3-coder-30b-a3b", "coder primary thinker"),
        ("deepseek-r1-7b", "thinker primary"),
        ("granite-8b-code-128k", "coder longctx"),
        ("phi-4", "primary thinker coder"),
        ("phi-3-medium-128k", "longctx thinker"),
        ("gpt-oss-20b", "primary thinker"),
        ("granite-20b-code", "coder thinker"),
    ],
)
def test_the_roles_that_are_shipped(model, roles):
    assert Catalogue.load(None, "scripted").get(model).roles == tuple(roles.split())


def spec(name, *roles):
    return ModelSpec(name, None, 4096, roles=roles)


LLAMA = spec("llama", "fast", "primary")
QWEN = spec("qwen", "coder", "primary")
PHI = spec("phi", "primary", "thinker", "coder")
LONG = spec("long", "longctx", "thinker")


@pytest.mark.parametrize(
    ("task_type", "order"),
    [
        ("code", [QWEN, PHI, LLAMA]),  # coder as first role, as third; then primary
        ("plan", [PHI, LONG, LLAMA, QWEN]),  # thinker both second: as they came; then primary
        ("quick", [LLAMA, PHI, QWEN]),
        ("rag", [LONG, PHI]),
        ("general", [PHI, LLAMA, QWEN, LONG]),  # and in the end any other
        (None, [PHI, LLAMA, QWEN, LONG]),
    ],
)
def test_models_are_asked_in_order(task_type, order):
    assert ranked([LLAMA, QWEN, PHI, LONG], roles_for(task_type)) == tuple(order)


def test_the_catalogues_order_decides_between_equals():
    twin = spec("twin", "coder", "primary")
    assert ranked([twin, QWEN], ("coder",)) == (twin, QWEN)
    assert ranked([QWEN, twin], ("coder",)) == (QWEN, twin)


def test_a_model_without_the_roles_is_not_asked():
    assert ranked([LLAMA], ("longctx", "thinker")) == ()
    assert role_taken(LLAMA, ("longctx", "thinker")) is None
    assert role_taken(PHI, ("coder", "primary")) == "coder"
    assert role_taken(LONG, ("primary", ANY)) == ANY
