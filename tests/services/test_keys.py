"""Keys of a running service: whose the jobs are, what only an admin may, and what one may keep."""

import json

import httpx
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import ENDLESS, await_end
from tests.support.service_fixture import SCRIPTED, service_fixture

ADMIN = "the-admin-key-of-these-tests"
MOST_MB = 2

keyed_service = service_fixture(
    "It has an admin's key from the start; tests add others while it runs.",
    INFERENCE_HOST="127.0.0.1",
    INFERENCE_ADMIN_KEYS=ADMIN,
    INFERENCE_MAX_STORED_MB_PER_KEY=str(MOST_MB),
    **SCRIPTED,
)


def shown(text):
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def keys(keyed_service):
    """Runs `inference-service keys`; returns what it prints."""

    def keys(*arguments):
        done = keyed_service.run("keys", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return keys


def submit(service, text, script, reasoning=""):
    body = service.ask(script)
    if reasoning:
        earlier = {"role": "assistant", "content": "", "reasoning_content": reasoning}
        body["messages"].insert(0, earlier)
    return httpx.post(f"{service.url}/v1/jobs", json=body, headers=shown(text), timeout=30)


def test_a_job_is_its_keys_over_rotations_and_no_later_keys(keyed_service, keys):
    first = keys("add", "alice")
    job_id = submit(keyed_service, first, {"text": "for alice"}).json()["id"]
    await_end(keyed_service, job_id, headers=shown(first))
    path = f"/v1/jobs/{job_id}"

    def status(text):
        return keyed_service.get(path, shown(text)).status_code

    second = keys("rotate", "alice", "--grace", "1h")
    assert (status(first), status(second)) == (200, 200)
    (before,) = json.loads(keys("list", "--json"))[1:]
    assert before["former_valid_until"]
    third = keys("rotate", "alice")
    assert (status(first), status(second), status(third)) == (401, 401, 200)
    keys("revoke", "alice")
    other = keys("add", "alice", "--highest-priority", "low")
    assert (status(third), status(other)) == (401, 404)
    assert keyed_service.get("/v1/jobs", shown(other)).json()["data"] == []
    _, after = json.loads(keys("list", "--json"))
    assert (before["name"], after["name"]) == ("alice", "alice")
    assert before["id"] != after["id"]
    assert after["id"] in keys("list")
    keys("revoke", "alice")


def test_a_response_is_nobody_elses_and_ends_with_its_retention(keyed_service, keys):
    hers, his = (shown(keys("add", name)) for name in ("erin", "frank"))
    address = f"{keyed_service.url}/v1/responses"

    def create(headers, **fields):
        text = keyed_service.ask({"text": "for erin"})["messages"][-1]["content"]
        body = {"model": MODEL, "input": text, **fields}
        return httpx.post(address, json=body, headers=headers, timeout=30)

    made = create(hers).json()
    response = made["id"]
    asked = (
        ("GET", ""),
        ("GET", "?stream=true"),
        ("GET", "/input_items"),
        ("POST", "/cancel"),
        ("DELETE", ""),
    )
    for method, rest in asked:
        answer = httpx.request(method, f"{address}/{response}{rest}", headers=his, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")
    gone_on = {"previous_response_id": response}
    taken = [{"type": "item_reference", "id": made["output"][0]["id"]}]
    assert create(his, **gone_on).status_code == 404
    assert create(his, input=taken).status_code == 422  # as an item that never was
    assert create(hers, **gone_on).status_code == 200
    with keyed_service.redis() as redis:
        kept_ms = [redis.pttl(key) for key in redis.scan_iter(f"*{response}*")]
        assert kept_ms
        assert all(0 < left_ms <= 24 * 3600 * 1000 for left_ms in kept_ms)
        for key in redis.scan_iter(f"*{response}*"):  # as when the retention is over
            redis.delete(key)
    assert httpx.get(f"{address}/{response}", headers=hers, timeout=30).status_code == 404
    assert create(hers, **gone_on).status_code == 404
    for name in ("erin", "frank"):
        keys("revoke", name)


def test_a_tier_is_a_priority_to_a_key_too(keyed_service, keys):
    low = shown(keys("add", "carol", "--highest-priority", "low"))

    def status(**fields):
        body = keyed_service.ask({"text": "x"}) | fields
        return keyed_service.post(body, headers=low).status_code

    assert [status(service_tier=tier) for tier in ("priority", "default")] == [403, 403]
    assert [status(service_tier=tier) for tier in ("flex", "auto")] == [200, 200]
    keys("revoke", "carol")


def test_what_only_an_admin_may(keyed_service, keys):
    ordinary, admin = keys("add", "bob"), keys("add", "root", "--admin")

    def act(text, what):
        path = f"{keyed_service.url}/v1/models/{MODEL}/{what}"
        return httpx.post(path, headers=shown(text), timeout=60)

    for what in ("unload", "load"):
        refused = act(ordinary, what)
        assert refused.status_code == 403
        assert "keys add NAME --admin" in refused.json()["error"]["message"]
    answer = keyed_service.post(keyed_service.ask({"text": "still here"}), headers=shown(ordinary))
    assert answer.status_code == 200
    said = keyed_service.run("unload", MODEL, INFERENCE_ADMIN_KEYS=ordinary)
    assert said.returncode == 1
    assert "INFERENCE_ADMIN_KEYS" in said.stderr
    said = keyed_service.run("jobs", "dead", INFERENCE_ADMIN_KEYS="of-nobody-at-all-here")
    assert said.returncode == 1
    assert "INFERENCE_ADMIN_KEYS" in said.stderr
    assert keyed_service.run("jobs", "dead").returncode == 0
    assert keyed_service.run("unload", MODEL).returncode == 0
    assert act(admin, "load").status_code == 200


def test_metrics_need_a_key(keyed_service):
    assert keyed_service.get("/metrics").status_code == 401
    answer = keyed_service.get("/metrics", shown(ADMIN))
    assert answer.status_code == 200
    assert "inference_redis_up 1.0" in answer.text
    assert ADMIN not in answer.text


def test_a_key_that_has_used_its_bytes_leaves_others_theirs(keyed_service, keys):
    greedy, modest = keys("add", "greedy"), keys("add", "modest")
    reasoning = "x" * 900_000
    done = submit(keyed_service, greedy, {"text": "z " * 100_000}, "y").json()["id"]
    await_end(keyed_service, done, headers=shown(greedy))
    taken = [submit(keyed_service, greedy, ENDLESS, reasoning) for _ in range(3)]
    assert [answer.status_code for answer in taken] == [202, 202, 503]
    error = taken[-1].json()["error"]
    assert (error["code"], error["details"]["bound"]) == ("TEMPORARY_RESOURCE", "stored_bytes")
    assert "INFERENCE_MAX_STORED_MB_PER_KEY" in error["message"]
    # The oldest result went before anything was refused.
    assert keyed_service.get(f"/v1/jobs/{done}", shown(greedy)).status_code == 404
    assert submit(keyed_service, modest, {"text": "hello"}, reasoning).status_code == 202
    assert keyed_service.readiness()[1]["degraded"] == []
    for answer in taken[:2]:
        address = f"{keyed_service.url}{answer.json()['status_url']}"
        cancelled = httpx.delete(address, headers=shown(greedy)).json()
        assert cancelled["state"] == "cancelled"
    assert submit(keyed_service, greedy, {"text": "hello"}, reasoning).status_code == 202
