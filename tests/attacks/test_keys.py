"""What one key does to others: it fills Redis, unloads their model, looks into dead letters."""

import httpx

from tests.attacks.conftest import ATTACKER, HONEST, bearer
from tests.support.front_end import MODEL
from tests.support.jobs import ENDLESS
from tests.support.waiting import wait_for

#: More than the whole share of a key, and small enough that what processes hold of them meanwhile
#: is no growth that the honest client minds.
JOBS, JOB_BYTES = 7, 1_500_000


def submit(service, headers, reasoning=""):
    body = service.ask(ENDLESS)
    if reasoning:
        earlier = {"role": "assistant", "content": "", "reasoning_content": reasoning}
        body["messages"].insert(0, earlier)
    return httpx.post(f"{service.url}/v1/jobs", json=body, headers=headers, timeout=30)


def test_one_key_fills_redis(attacked, honest):
    answers = [submit(attacked, bearer(ATTACKER), "x" * JOB_BYTES) for _ in range(JOBS)]
    taken = [answer.json() for answer in answers if answer.status_code == 202]
    refused = [answer.json()["error"] for answer in answers if answer.status_code != 202]
    assert 1 <= len(taken) < JOBS
    assert {error["details"]["bound"] for error in refused} == {"stored_bytes"}
    assert all("INFERENCE_MAX_STORED_MB_PER_KEY" in error["message"] for error in refused)
    of_honest = submit(attacked, bearer(HONEST))
    assert of_honest.status_code == 202
    with attacked.redis() as redis:
        largest = redis.info("memory")["used_memory"]
        for job in [*taken, of_honest.json()]:
            headers = bearer(HONEST if job["id"] == of_honest.json()["id"] else ATTACKER)
            for expected in ("cancelled", "deleted"):
                shown = httpx.delete(f"{attacked.url}{job['status_url']}", headers=headers).json()
                assert expected in (shown["state"], *shown)
        freed = len(taken) * JOB_BYTES / 2
        wait_for(lambda: redis.info("memory")["used_memory"] < largest - freed)
    again = submit(attacked, bearer(ATTACKER), "x" * JOB_BYTES)
    assert again.status_code == 202
    httpx.delete(f"{attacked.url}{again.json()['status_url']}", headers=bearer(ATTACKER))


def test_an_ordinary_key_unloads_nobodys_model(attacked, honest):
    for path in (f"/v1/models/{MODEL}/unload", f"/v1/models/{MODEL}/load"):
        answer = httpx.post(f"{attacked.url}{path}", headers=bearer(ATTACKER))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
    answer = httpx.get(f"{attacked.url}/v1/dead-letters", headers=bearer(ATTACKER))
    assert answer.status_code == 403
    assert attacked.is_ready()


def test_another_key_reads_cancels_and_deletes_nothing(attacked, honest):
    job = submit(attacked, bearer(HONEST)).json()
    address = f"{attacked.url}{job['status_url']}"
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        answer = httpx.request(method, address + path, headers=bearer(ATTACKER))
        assert answer.status_code == 404
    assert httpx.delete(address, headers=bearer(HONEST)).json()["state"] == "cancelled"
