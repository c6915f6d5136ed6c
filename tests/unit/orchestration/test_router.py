"""Whom a request without a model's name goes to, and what is said of that."""

from dataclasses import replace

import pytest

from orchestration import estimate
from orchestration.routing import strategies
from orchestration.routing.router import Router
from presets.catalogue import Catalogue
from presets.model import ModelSpec
from tests.support.fixed_directory import FixedDirectory
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract.errors import ModelNotFound, NoWorker
from workers.contract.job import Job, Message
from workers.contract.sampling import Sampling
from workers.contract.tools import Tool, ToolChoice, Tools
from workers.settings import read

LLAMA = ModelSpec("llama", None, 8192, roles=("fast", "primary"))
QWEN = ModelSpec("qwen", None, 32768, roles=("coder", "primary"), aliases=("q",))
PHI = ModelSpec("phi", None, 16384, roles=("primary", "thinker", "coder"))
LONG = ModelSpec("long", None, 131072, roles=("longctx", "thinker"))
ALL = (LLAMA, QWEN, PHI, LONG)


class Told:
    """Queued tokens and turns as Redis would tell them."""

    def __init__(self, **queued_tokens):
        self._queued_tokens = queued_tokens
        self._turns = {}

    def queued_tokens(self, models):
        return [self._queued_tokens.get(model, 0) for model in models]

    def turn(self, role):
        self._turns[role] = self._turns.get(role, -1) + 1
        return self._turns[role]


def worker(spec, status=WorkerStatus.LOADED, context_length=None):
    context_length = context_length or spec.context_length
    return Worker(spec.id, spec.id, 1, "h", 1, status=status, context_length=context_length)


def router(*workers, strategy="least_busy", queued_tokens=None, specs=ALL, **environ):
    workers = [given if isinstance(given, Worker) else worker(given) for given in workers]
    named = {f"INFERENCE_{name.upper()}": value for name, value in environ.items()}
    environ = {
        "INFERENCE_AUTO_ROUTE_ENABLED": "true",
        "INFERENCE_AUTO_ROUTE_STRATEGY": strategy,
        "INFERENCE_PRELOAD_MODELS": ",".join(spec.id for spec in specs),
        **named,
    }
    settings = read(environ, env_file=None)
    routing_state = Told(**(queued_tokens or {}))
    return Router(settings, Catalogue(specs), FixedDirectory(*workers), routing_state)


def job(model="auto", task_type=None, content="hi", **sampling):
    messages = (Message("user", content),)
    return Job("j", model, messages, 1, sampling=Sampling(**sampling), task_type=task_type)


@pytest.mark.parametrize("name", ["qwen", "q", "inference:qwen", "local:q", "nobody"])
@pytest.mark.parametrize("enabled", ["true", "false"])
def test_a_named_model_always_wins(name, enabled):
    assert router(auto_route_enabled=enabled).route(job(name, "plan")) is None


@pytest.mark.parametrize("name", ["auto", "coder"])
def test_a_model_may_have_a_routed_name(name):
    specs = (ModelSpec(name, None, 4096), QWEN)
    assert router(*specs, specs=specs).route(job(name)) is None


@pytest.mark.parametrize("name", ["auto", "primary", "fast", "coder", "thinker", "longctx"])
def test_without_routing_these_are_no_models(name):
    with pytest.raises(ModelNotFound, match="INFERENCE_AUTO_ROUTE_ENABLED=true") as caught:
        router(*ALL, auto_route_enabled="false").route(job(name))
    assert caught.value.details["setting"] == "INFERENCE_AUTO_ROUTE_ENABLED"
    assert caught.value.details["model"] == name


@pytest.mark.parametrize(
    ("model", "task_type", "loaded", "chosen", "reason"),
    [
        ("auto", None, ALL, "phi", "no task_type: role primary, least busy of 3"),
        ("auto", None, [LONG], "long", "no task_type: any role, the only one loaded"),
        ("auto", "haiku", [LLAMA], "llama", "unknown task_type haiku: role primary, the only"),
        ("auto", "code", ALL, "qwen", "task_type code: role coder, least busy of 2"),
        ("auto", "code", [LLAMA, LONG], "llama", "task_type code: role primary, the only"),
        ("auto", "plan", ALL, "phi", "task_type plan: role thinker, least busy of 2"),
        ("auto", "quick", ALL, "llama", "task_type quick: role fast, the only one loaded"),
        ("auto", "rag", ALL, "long", "task_type rag: role longctx, the only one loaded"),
        ("auto", "rag", [LLAMA, PHI], "phi", "task_type rag: role thinker, the only one"),
        ("coder", None, ALL, "qwen", "model coder: role coder, least busy of 2"),
        ("coder", "rag", ALL, "qwen", "model coder: role coder"),
        ("thinker", None, [QWEN], "qwen", "model thinker: role primary, the only one loaded"),
        ("inference:fast", None, ALL, "llama", "model fast: role fast"),
        ("local:longctx", None, ALL, "long", "model longctx: role longctx"),
        ("primary", None, ALL, "phi", "model primary: role primary"),
    ],
)
def test_the_first_role_that_is_there_answers(model, task_type, loaded, chosen, reason):
    route = router(*loaded).route(job(model, task_type))
    assert route.model == chosen
    assert route.reason.startswith(reason)
    assert route.requested == model.partition(":")[2] or model
    assert route.strategy == "least_busy"


@pytest.mark.parametrize(
    ("queued_tokens", "chosen", "said"),
    [
        ({"qwen": 4680, "phi": 320}, "phi", "least busy of 2 (320 of 5,000 tokens queued and"),
        ({"qwen": 319, "phi": 320}, "qwen", "least busy of 2 (319 of 639 tokens queued and run"),
        ({"qwen": 7, "phi": 7}, "qwen", "(7 of 14"),
        ({"qwen": 9, "llama": 0, "phi": 9}, "qwen", "least busy of 2"),  # llama is no coder
    ],
)
def test_least_busy_avoids_the_busy(queued_tokens, chosen, said):
    route = router(*ALL, queued_tokens=queued_tokens).route(job(task_type="code"))
    assert route.model == chosen
    assert said in route.reason


def test_round_robin_takes_turns_for_each_role():
    taken = router(*ALL, strategy="round_robin")
    coders = [taken.route(job(task_type="code")).model for _ in range(3)]
    general = [taken.route(job()) for _ in range(4)]
    assert coders == ["qwen", "phi", "qwen"]
    assert [route.model for route in general] == ["phi", "llama", "qwen", "phi"]
    assert general[1].reason == "no task_type: role primary, in turn, 2 of 3"


@pytest.mark.parametrize(
    ("task_type", "content", "max_tokens", "chosen", "said"),
    [
        ("quick", "hi", 100, "llama", "role fast, has room for about 108 tokens, first of 3"),
        ("quick", "x" * 30_000, 500, "phi", "role primary, has room for about 10,508 tokens"),
        ("quick", "hi", 20_000, "qwen", "role primary, has room for about 20,008 tokens"),
        ("code", "x" * 60_000, None, "qwen", "role coder, has room for about 20,520 tokens"),
        ("rag", "x" * 300_000, 1000, "long", "has room for about 101,008 tokens, first of 1"),
        ("quick", "x" * 300_000, 100, "qwen", "longest context of 3 (32,768), for about 100,108"),
    ],
)
def test_capability_match_asks_for_room_before_roles(task_type, content, max_tokens, chosen, said):
    asked = job(task_type=task_type, content=content, max_tokens=max_tokens)
    route = router(*ALL, strategy="capability_match").route(asked)
    assert route.model == chosen
    assert said in route.reason


def test_room_is_what_the_workers_have():
    small = [worker(LLAMA, context_length=64), worker(LLAMA), worker(PHI)]
    route = router(*small, strategy="capability_match").route(job(task_type="quick"))
    assert route.model == "phi"


@pytest.mark.parametrize("strategy", ["least_busy", "round_robin", "capability_match"])
def test_where_the_first_is_gone_another_takes_its_place_or_not(strategy):
    asked = job(task_type="code")
    assert router(PHI, strategy=strategy).route(asked).model == "phi"
    strict = router(PHI, strategy=strategy, auto_route_fallback="false").route(asked)
    assert strict.model == "qwen"  # which nobody serves: its request is refused
    there = router(QWEN, strategy=strategy, auto_route_fallback="false").route(asked)
    assert there.model == "qwen"


def test_without_fallback_equals_that_are_loaded_still_share_the_work():
    strict = router(QWEN, PHI, queued_tokens={"qwen": 5}, auto_route_fallback="false")
    assert strict.route(job(task_type="code")).model == "phi"


@pytest.mark.parametrize("strategy", ["least_busy", "round_robin", "capability_match"])
def test_where_nothing_is_loaded_the_one_that_is_loading_is_chosen(strategy):
    loading = [worker(PHI, WorkerStatus.FAILED), worker(LLAMA, WorkerStatus.LOADING)]
    assert router(*loading, strategy=strategy).route(job()).model == "llama"
    assert router(strategy=strategy).route(job()).model == "phi"


def test_a_role_that_nobody_has_is_told():
    with pytest.raises(
        NoWorker, match="role longctx or thinker, which task_type rag asks"
    ) as caught:
        router(LLAMA, specs=(LLAMA, QWEN)).route(job(task_type="rag"))
    assert caught.value.details == {"roles": ["longctx", "thinker"]}


def test_where_there_is_no_model_at_all_that_is_told():
    with pytest.raises(NoWorker, match="No model is loaded, nor to be"):
        router(specs=()).route(job())


def test_a_route_can_travel():
    route = router(LLAMA).route(job())
    assert (
        Job.from_dict(Job("j", "m", (), 1, routing=route.to_dict()).to_dict()).routing
        == route.to_dict()
    )


@pytest.mark.parametrize(
    ("content", "max_tokens", "tokens"),
    [
        ("", None, 520),
        ("abcdef", 10, 20),
        ("\u4f60\u597d", 10, 20),
        (None, 1, 9),
        ("", 10_000_000, 131_072),
    ],
)
def test_what_a_request_is_expected_to_take(content, max_tokens, tokens):
    asked = job(content=content, max_tokens=max_tokens)
    assert estimate.tokens(asked.messages, asked.sampling) == tokens


def test_tools_and_calls_are_expected_to_be_read():
    asked = job(content="hi")
    alone = estimate.tokens(asked.messages, asked.sampling)
    tools = Tools((Tool("f", "x" * 300),))
    assert alone + 100 < estimate.tokens(asked.messages, asked.sampling, tools) < alone + 200
    hidden = replace(tools, choice=ToolChoice.NONE)
    assert estimate.tokens(asked.messages, asked.sampling, hidden) == alone
    call = {"id": "c", "function": {"name": "f", "arguments": "x" * 300}}
    called = replace(asked.messages[0], tool_calls=(call,))
    assert estimate.tokens((called,), asked.sampling) > alone + 100


def test_a_turn_comes_round():
    assert [strategies.round_robin(ALL, turn)[0] for turn in range(3, 6)] == [LONG, LLAMA, QWEN]
