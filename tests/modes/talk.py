"""Asking several models at once, and reading what they did."""

import json

import httpx
import psutil

from tests.support.service import MODEL
from tests.support.waiting import wait_for

LAST, MIDDLE, FIRST = MODEL, f"{MODEL}-b", f"{MODEL}-c"


def ask(service, script, **options):
    """A plain answer to a script."""
    answer = service.post(service.ask(script, **options))
    assert answer.status_code == 200, answer.text
    return answer.json()


def content(body):
    return body["choices"][0]["message"]["content"]


def told_steps(body):
    """Step, part and model of each step that an answer tells of."""
    return [(one["step"], one["role"], one["model"]) for one in body["orchestration"]["steps"]]


def chunks(service, script, **options):
    """The frames of a stream, up to its end."""
    with service.open_stream(service.ask(script, **options)) as stream:
        events = list(stream.events())
    assert events[-1] == "[DONE]", events[-1]
    return [json.loads(event) for event in events[:-1]]


def deltas(frames):
    found = (choice["delta"].get("content") for frame in frames for choice in frame["choices"])
    return [text for text in found if text]


def submit(service, script, **options):
    """The id of a job."""
    answer = httpx.post(f"{service.url}/v1/jobs", json=service.ask(script, **options), timeout=30)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def job(service, job_id):
    return service.get(f"/v1/jobs/{job_id}").json()


def await_end(service, job_id, within_s=40):
    """A job that has ended."""

    def look():
        found = job(service, job_id)
        return found if found["state"] not in ("queued", "running") else None

    return wait_for(look, within_s)


def await_step(service, job_id, step, tokens=1):
    """Wait until a step has said something."""
    url = f"{service.url}/v1/jobs/{job_id}/events"
    seen = 0
    with httpx.stream("GET", url, timeout=30) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                if event["type"] == "token" and event["step"] == step:
                    seen += len(event["token_ids"])
                    if seen >= tokens:
                        return
    raise AssertionError(f"{step} of {job_id} said nothing")


def conductors(service):
    """Pids of the orchestration workers."""
    found = []
    for process in service.supervisor.children(recursive=True):
        try:
            if process.cmdline()[-2:] == ["worker", "--orchestration"]:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
