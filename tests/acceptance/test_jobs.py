"""Jobs that nobody waits for on the line: submitted, polled, watched, cancelled."""

import json
import os
import signal

import httpx
import pytest

from tests.support.front_end import MODEL
from tests.support.jobs import ENDLESS, await_end, cancel, job, read_events, submit, text_of
from tests.support.waiting import wait_for
from workers.app import make_app
from workers.settings import read

SLOW = {"text": "one two three four five six seven eight", "tokens_per_s": 4}
RESTARTED_WITHIN_S = 30.0


def test_a_job_is_taken_and_its_result_fetched_later(scripted_service):
    taken = submit(scripted_service, {"text": "It is done."}, priority=3)
    assert taken["state"] == "queued"
    assert taken["status_url"] == f"/v1/jobs/{taken['id']}"
    assert taken["events_url"] == f"/v1/jobs/{taken['id']}/events"
    ended = await_end(scripted_service, taken["id"])
    assert ended["state"] == "completed"
    assert (ended["model"], ended["priority"], ended["attempt"]) == (MODEL, 3, 1)
    assert ended["result"]["object"] == "chat.completion"
    assert ended["result"]["id"] == taken["id"]
    assert ended["result"]["choices"][0]["message"]["content"] == "It is done."
    (step,) = ended["steps"]
    assert (step["step"], step["state"], step["finish_reason"]) == ("answer", "done", "stop")
    assert set(ended["timings_ms"]) == {
        "queued",
        "loading",
        "template",
        "prefill",
        "decode",
    }
    assert "position" not in ended
    assert "error" not in ended


def test_a_job_on_the_real_model(service):
    taken = submit(
        service,
        "What is the capital city of France? Answer in one sentence.",
        temperature=0,
        max_tokens=12,
    )
    ended = await_end(service, taken["id"])
    assert "Paris" in ended["result"]["choices"][0]["message"]["content"]


def test_a_job_that_fails_tells_its_error(scripted_service):
    taken = submit(scripted_service, {"text": "one two three", "fail_after": 1})
    ended = await_end(scripted_service, taken["id"])
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == "ENGINE_FAILED"
    assert "result" not in ended


def test_a_job_that_waits_tells_its_position(narrow_service):
    running = submit(narrow_service, ENDLESS)
    wait_for(lambda: job(narrow_service, running["id"])["state"] == "running")
    first, second = (submit(narrow_service, {"text": "x"}) for _ in range(2))
    assert [first["position"], second["position"]] == [1, 2]
    assert job(narrow_service, second["id"])["position"] == 2
    cancel(narrow_service, running["id"])
    assert await_end(narrow_service, second["id"])["state"] == "completed"


def test_a_running_job_is_cancelled_and_frees_its_place(narrow_service):
    running = submit(narrow_service, ENDLESS)
    wait_for(lambda: job(narrow_service, running["id"])["state"] == "running")
    answer = cancel(narrow_service, running["id"])
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    assert answer.json()["reason"]
    assert answer.json()["steps"][0]["state"] == "stopped"
    next_ = submit(narrow_service, {"text": "x"})
    assert await_end(narrow_service, next_["id"])["state"] == "completed"
    assert read_events(narrow_service, running["id"])[-1][1] == "cancelled"


def test_a_queued_job_that_is_cancelled_never_runs(narrow_service):
    running = submit(narrow_service, ENDLESS)
    wait_for(lambda: job(narrow_service, running["id"])["state"] == "running")
    queued = submit(narrow_service, {"text": "never"})
    assert cancel(narrow_service, queued["id"]).json()["state"] == "cancelled"
    cancel(narrow_service, running["id"])
    assert [kind for _, kind, _ in read_events(narrow_service, queued["id"])] == [
        "queued",
        "cancelled",
    ]


@pytest.mark.parametrize("terminate", [False, True])
def test_a_task_that_is_revoked_is_its_job_cancelled(scripted_service, terminate, tmp_path):
    """What Flower's buttons send."""
    environ = {"INFERENCE_DATA_DIR": str(scripted_service.data_dir)}
    celery = make_app(read(environ, env_file=None))
    running = submit(scripted_service, ENDLESS)
    wait_for(lambda: job(scripted_service, running["id"])["state"] == "running")
    celery.control.revoke(f"{running['id']}|answer", terminate=terminate)
    ended = await_end(scripted_service, running["id"])
    assert (ended["state"], ended["reason"]) == ("cancelled", "its task was revoked")
    celery.close()


def test_the_end_of_a_job_is_sent(scripted_service, receiver):
    receiver.statuses = [500, 200]
    taken = submit(scripted_service, {"text": "x"}, webhook=receiver.url)

    def delivered_webhook():
        webhook = job(scripted_service, taken["id"]).get("webhook", {})
        return webhook if webhook.get("delivered") else None

    webhook = wait_for(delivered_webhook, 30)
    assert [attempt["status"] for attempt in webhook["attempts"]] == [500, 200]
    assert json.loads(receiver.seen[-1][2])["data"]["id"] == taken["id"]
    shown = scripted_service.run("jobs", "show", taken["id"])
    assert '"delivered": true' in shown.stdout


def test_what_has_ended_is_deleted_and_shown_once_more(scripted_service):
    taken = submit(scripted_service, {"text": "fine"})
    shown = await_end(scripted_service, taken["id"])
    deleted = cancel(scripted_service, taken["id"])
    assert deleted.status_code == 200
    assert deleted.json() == {**shown, "deleted": True}
    assert cancel(scripted_service, taken["id"]).status_code == 404
    for path in ("", "/events"):
        assert scripted_service.get(f"/v1/jobs/{taken['id']}{path}").status_code == 404
    listed = scripted_service.get("/v1/jobs").json()["data"]
    assert taken["id"] not in [entry["id"] for entry in listed]
    running = submit(scripted_service, ENDLESS)["id"]
    assert scripted_service.run("jobs", "delete", running).returncode == 0
    assert scripted_service.get(f"/v1/jobs/{running}").status_code == 404


def test_events_come_numbered_from_the_start_and_from_anywhere(scripted_service):
    taken = submit(scripted_service, SLOW)
    live = read_events(scripted_service, taken["id"])
    assert [number for number, _, _ in live] == list(range(1, len(live) + 1))
    assert [live[0][1], live[1][1], live[-1][1]] == ["queued", "started", "completed"]
    assert text_of(live) == SLOW["text"]
    assert read_events(scripted_service, taken["id"]) == live
    assert read_events(scripted_service, taken["id"], after=4) == live[4:]


def test_after_the_last_event_there_is_nothing(scripted_service):
    taken = submit(scripted_service, {"text": "fine"})
    await_end(scripted_service, taken["id"])
    last = read_events(scripted_service, taken["id"])[-1][0]
    url = f"/v1/jobs/{taken['id']}/events"
    assert scripted_service.get(url, {"Last-Event-ID": str(last)}).status_code == 204


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "99", "9" * 30])
def test_an_event_id_that_is_none_is_400(scripted_service, given):
    taken = submit(scripted_service, {"text": "fine"})
    await_end(scripted_service, taken["id"])
    answer = scripted_service.get(f"/v1/jobs/{taken['id']}/events", {"Last-Event-ID": given})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "INVALID_EVENT_ID"


def test_a_reader_that_leaves_cancels_nothing(scripted_service):
    taken = submit(scripted_service, SLOW)
    read_events(scripted_service, taken["id"], most=3)
    assert await_end(scripted_service, taken["id"])["state"] == "completed"


def test_a_chat_completion_can_be_read_as_a_job_too(scripted_service):
    """Whoever lost its stream reads on under the completion's id."""
    answer = scripted_service.post(scripted_service.ask({"text": "once more"})).json()
    assert text_of(read_events(scripted_service, answer["id"])) == "once more"


def test_a_reader_resumes_when_the_front_end_was_killed(narrow_service):
    taken = submit(narrow_service, {**SLOW, "tokens_per_s": 2})
    seen = read_events(narrow_service, taken["id"], most=4)
    front_end = next(
        process
        for process in narrow_service.supervisor.children(recursive=True)
        if process.cmdline()[-1:] == ["web"]
    )
    os.kill(front_end.pid, signal.SIGKILL)
    wait_for(lambda: narrow_service.readiness() is None)
    wait_for(narrow_service.is_ready, RESTARTED_WITHIN_S)
    rest = read_events(narrow_service, taken["id"], after=seen[-1][0])
    assert rest[0][0] == seen[-1][0] + 1
    assert text_of(seen + rest) == SLOW["text"]


def test_jobs_are_listed_latest_first_and_in_pages(scripted_service):
    ids = [submit(scripted_service, {"text": str(i)})["id"] for i in range(3)]
    for job_id in ids:
        await_end(scripted_service, job_id)
    page = scripted_service.get("/v1/jobs?limit=2").json()
    assert [entry["id"] for entry in page["data"]] == [ids[2], ids[1]]
    assert page["has_more"] is True
    page = scripted_service.get(f"/v1/jobs?limit=1&after={ids[1]}").json()
    assert [entry["id"] for entry in page["data"]] == [ids[0]]
    cancelled = submit(scripted_service, ENDLESS)["id"]
    cancel(scripted_service, cancelled)
    cancelled_jobs = scripted_service.get(f"/v1/jobs?state=cancelled&model={MODEL}").json()["data"]
    assert cancelled_jobs[0]["id"] == cancelled
    assert {entry["state"] for entry in cancelled_jobs} == {"cancelled"}
    assert scripted_service.get("/v1/jobs?model=other").json()["data"] == []


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=x", "limit=1000", "page=2"])
def test_a_query_that_is_wrong_is_422_and_named(scripted_service, query):
    answer = scripted_service.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["param"] == query.partition("=")[0]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_job_that_is_not_there_is_404(scripted_service, method):
    answer = httpx.request(method, f"{scripted_service.url}/v1/jobs/chatcmpl-none")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "JOB_NOT_FOUND"


def test_stream_is_taken_and_said_to_change_nothing(scripted_service):
    body = scripted_service.ask({"text": "x"}, stream=True)
    answer = httpx.post(f"{scripted_service.url}/v1/jobs", json=body)
    assert answer.status_code == 202
    assert answer.headers["X-Ignored-Parameters"] == "stream"
    assert answer.headers["Location"] == answer.json()["status_url"]


def test_bad_input_is_refused_as_for_completions(scripted_service):
    body = scripted_service.ask("hi", temperature="hot")
    answer = httpx.post(f"{scripted_service.url}/v1/jobs", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["param"] == "temperature"
