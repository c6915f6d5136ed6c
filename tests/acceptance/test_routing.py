"""Requests that name no model, on a service with three: who answers, and what is said of it."""

import json

import psutil
import pytest

from tests.support.jobs import ENDLESS
from tests.support.service_fixture import SCRIPTED, service_fixture
from tests.support.waiting import wait_for
from tests.support.websocket import Socket
from web.app import create_app
from workers.contract import keys
from workers.settings import read
from workers.store import embedded

#: Primary and fast; thinker, coder and primary; fast, longctx and primary.
A, B, C = "smollm2-135m", "smollm2-135m-b", "smollm2-135m-c"
ASKED = {"messages": [{"role": "user", "content": "hello"}]}


def loaded(service):
    models = service.get("/v1/models").json()["data"]
    return {model["id"] for model in models if model["status"] == "loaded"}


routed = service_fixture(
    "Three models, and requests without one are routed by what they ask.",
    after_start=lambda service: wait_for(lambda: loaded(service) == {A, B, C}, 60),
    INFERENCE_PRELOAD_MODELS=f"{A},{B},{C}",
    INFERENCE_MAX_CONCURRENT_PER_MODEL="4",
    INFERENCE_AUTO_ROUTE_ENABLED="true",
    **SCRIPTED,
)


def submit(service, **body):
    answer = service._http.post("/v1/jobs", json={**ASKED, **body})
    assert answer.status_code == 202, answer.text
    return answer


def look(service, job_id):
    return service.get(f"/v1/jobs/{job_id}").json()


@pytest.mark.parametrize(
    ("body", "model", "reason"),
    [
        ({}, A, "no task_type: role primary, least busy of 3"),
        ({"model": None}, A, "no task_type: role primary"),
        ({"model": "auto"}, A, "no task_type: role primary"),
        ({"model": "inference:auto"}, A, "no task_type: role primary"),
        ({"task_type": "code"}, B, "task_type code: role coder, the only one loaded"),
        ({"model": "auto", "task_type": "plan"}, B, "task_type plan: role thinker, the only"),
        ({"task_type": "classify"}, C, "task_type classify: role fast, least busy of 2"),
        ({"task_type": "rag"}, C, "task_type rag: role longctx, the only one loaded"),
        ({"task_type": "haiku"}, A, "unknown task_type haiku: role primary"),
        ({"model": "primary"}, A, "model primary: role primary"),
        ({"model": "fast"}, C, "model fast: role fast, least busy of 2 (0 of 0 tokens"),
        ({"model": "coder", "task_type": "rag"}, B, "model coder: role coder"),
        ({"model": "thinker"}, B, "model thinker: role thinker"),
        ({"model": "local:longctx"}, C, "model longctx: role longctx"),
    ],
)
def test_a_request_without_a_models_name_is_routed(routed, body, model, reason):
    answer = routed.post({**ASKED, **body})
    assert answer.status_code == 200, answer.text
    answered = answer.json()
    assert answered["model"] == answer.headers["X-Routed-Model"] == model
    assert answered["inference_metadata"]["models_used"] == [model]
    routing = answered["inference_metadata"]["routing"]
    assert routing.pop("reason").startswith(reason)
    requested = (body.get("model") or "auto").partition(":")[2] or body.get("model") or "auto"
    assert routing == {"model": model, "requested": requested, "strategy": "least_busy"}


@pytest.mark.parametrize("name", [B, f"local:{B}"])
def test_a_named_model_always_wins(routed, name):
    answer = routed.post({**ASKED, "model": name, "task_type": "rag"})
    assert answer.json()["model"] == B
    assert "routing" not in answer.json()["inference_metadata"]
    assert "X-Routed-Model" not in answer.headers


def test_an_unknown_name_is_not_routed(routed):
    answer = routed.post({**ASKED, "model": f"{B}x"})
    assert answer.status_code == 404
    assert answer.json()["error"]["details"]["suggestion"] == B


def test_a_stream_says_who_answers_and_why(routed):
    with routed.open_stream({**ASKED, "task_type": "code"}) as stream:
        assert stream.answer.headers["X-Routed-Model"] == B
        frames = [json.loads(event) for event in stream.events() if event != "[DONE]"]
    assert {frame["model"] for frame in frames} == {B}
    routing = frames[-1]["inference_metadata"]["routing"]
    assert routing["reason"] == "task_type code: role coder, the only one loaded"


def test_a_job_says_so_from_its_acceptance_to_its_result(routed):
    taken = submit(routed, task_type="document")
    job = taken.json()
    assert taken.headers["X-Routed-Model"] == job["model"] == C
    wait_for(lambda: look(routed, job["id"])["state"] == "completed")
    ended = look(routed, job["id"])
    assert ended["routing"] == job["routing"]
    assert ended["result"]["inference_metadata"]["routing"] == job["routing"]
    assert ended["result"]["model"] == C
    assert job["routing"]["reason"].startswith("task_type document: role longctx")


def test_a_socket_is_told_so_when_its_request_is_accepted(routed):
    socket = Socket(routed, "/v1/ws/chat")
    socket.say({"type": "chat", "task_type": "code", **ASKED})
    (accepted, *_, last), _ = socket.rest()
    assert (accepted["model"], accepted["routing"]["model"]) == (B, B)
    assert last["outcome"]["model"] == B


def test_an_attached_request_is_told_of_the_first_ones_route(routed):
    body, headers = {**ASKED, "task_type": "code"}, {"Idempotency-Key": "routed"}
    first, second = (routed.post(body, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["X-Routed-Model"] == B


def test_the_busy_one_is_avoided_until_it_is_free(routed):
    blocker = submit(routed, **routed.ask(ENDLESS, max_tokens=3000) | {"model": C}).json()
    try:
        answer = routed.post({**ASKED, "model": "fast", "max_tokens": 5})
        assert answer.json()["model"] == A
        reason = answer.json()["inference_metadata"]["routing"]["reason"]
        assert reason.startswith("model fast: role fast, least busy of 2 (0 of 3,0")
    finally:
        routed._http.delete(f"/v1/jobs/{blocker['id']}")
    assert routed.post({**ASKED, "model": "fast"}).json()["model"] == C


def test_where_several_models_answer_the_routed_one_leads(routed):
    answer = routed.post({**ASKED, "task_type": "code", "orchestration_mode": "pipeline"})
    metadata = answer.json()["inference_metadata"]
    assert answer.json()["model"] == metadata["routing"]["model"] == B
    assert {B, C} <= set(metadata["models_used"])
    assert not list(routed.redis().scan_iter("inference:burden:*"))  # every step took its part off


def test_the_official_client_needs_no_more_than_a_word(routed):
    answer = routed.openai().chat.completions.create(model="coder", messages=ASKED["messages"])
    assert answer.model == B


@pytest.fixture
def front_end(routed):
    """Front ends of other settings beside the service's own, on its Redis and workers."""
    apps = []

    def make(**environ):
        environ = {
            **{k: v for k, v in routed.environment.items() if k.startswith("INFERENCE_")},
            "INFERENCE_REDIS_URL": embedded.url(routed.data_dir),
            **environ,
        }
        apps.append(create_app(read(environ, env_file=None)))
        client = apps[-1].test_client()
        return lambda **body: client.post("/v1/chat/completions", json={**ASKED, **body})

    yield make
    for app in apps:
        app.extensions["inference"].hub.stop()


def test_two_front_ends_take_turns(front_end):
    first, second = (front_end(INFERENCE_AUTO_ROUTE_STRATEGY="round_robin") for _ in range(2))
    answers = [ask().get_json() for ask in (first, second, second, first, first, second)]
    assert [answer["model"] for answer in answers] == [A, B, C] * 2
    reasons = [answer["inference_metadata"]["routing"]["reason"] for answer in answers[:2]]
    assert reasons[1] == "no task_type: role primary, in turn, 2 of 3"


def test_roles_are_what_the_operator_says(front_end):
    ask = front_end(
        INFERENCE_AUTO_ROUTE_STRATEGY="capability_match",
        INFERENCE_MODEL_ROLES=json.dumps({A: ["coder"], B: ["thinker"], C: ["primary"]}),
    )
    answers = [ask(task_type=task).get_json()["model"] for task in ("code", "plan", "simple")]
    assert answers == [A, B, C]
    nobody = ask(task_type="rag")  # thinker follows longctx
    assert nobody.get_json()["model"] == B


@pytest.mark.parametrize("name", ["auto", "coder", "local:fast"])
def test_without_routing_a_role_is_no_model(front_end, name):
    answer = front_end(INFERENCE_AUTO_ROUTE_ENABLED="false")(model=name)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (404, "MODEL_NOT_FOUND")
    assert "INFERENCE_AUTO_ROUTE_ENABLED=true" in error["message"]
    assert error["details"]["setting"] == "INFERENCE_AUTO_ROUTE_ENABLED"


def test_without_routing_a_model_must_be_named(front_end):
    answer = front_end(INFERENCE_AUTO_ROUTE_ENABLED="false")()
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (422, "VALIDATION_ERROR")
    assert error["message"].startswith("model is missing.")
    assert "INFERENCE_AUTO_ROUTE_ENABLED" in error["message"]
    assert error["details"]["param"] == "model"


def test_the_description_says_whether_a_model_is_needed(routed):
    schemas = routed.get("/openapi.json").json()["components"]["schemas"]
    for name in ("ChatCompletionRequest", "JobRequest"):
        assert schemas[name]["required"] == ["messages"]


def test_where_a_model_is_gone_another_answers_or_nobody(routed, front_end):
    """The last test of the module: it takes a worker away."""
    strict = front_end(INFERENCE_AUTO_ROUTE_FALLBACK="false")
    (pid,) = routed.worker_pids(B)
    assert strict(task_type="code").get_json()["model"] == B

    psutil.Process(pid).suspend()  # `up` starts a dead one again; this one is only silent
    try:
        wait_for(lambda: B not in loaded(routed), 20)
        routed.redis().delete(keys.served(B))  # as if it had been silent for longer
        wait_for(lambda: strict(task_type="code").status_code == 503)
        error = strict(task_type="code").get_json()["error"]
        assert (error["code"], error["details"]["model"]) == ("NO_WORKER", B)
        answer = routed.post({**ASKED, "task_type": "code"})
        assert answer.json()["model"] == A
        reason = answer.json()["inference_metadata"]["routing"]["reason"]
        assert reason.startswith("task_type code: role primary, least busy of 2")
    finally:
        psutil.Process(pid).resume()
    wait_for(lambda: B in loaded(routed), 20)
