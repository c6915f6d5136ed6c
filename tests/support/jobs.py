"""Asking a running service for completions and jobs, and reading what came of them."""

import json

import httpx

from tests.support.front_end import MODEL
from tests.support.waiting import wait_for

#: The models of the demo presets, by their place in the pipeline.
LAST, MIDDLE, FIRST = MODEL, f"{MODEL}-b", f"{MODEL}-c"
#: A script that goes on until it is cancelled.
ENDLESS = {"repeat": True, "tokens_per_s": 50}


def ask(service, script, **options):
    """A plain answer to a script."""
    answer = service.post(service.ask(script, **options))
    assert answer.status_code == 200, answer.text
    return answer.json()


def content(body):
    """The text of an answer."""
    return body["choices"][0]["message"]["content"]


def steps_of(body):
    """Step, part and model of each step that an answer names."""
    steps = body["orchestration"]["steps"]
    return [(step["step"], step["role"], step["model"]) for step in steps]


def chunks(service, script, **options):
    """The frames of a stream, up to its end."""
    with service.open_stream(service.ask(script, **options)) as stream:
        events = list(stream.events())
    assert events[-1] == "[DONE]", events[-1]
    return [json.loads(event) for event in events[:-1]]


def deltas(frames):
    """The pieces of text in frames."""
    texts = (choice["delta"].get("content") for frame in frames for choice in frame["choices"])
    return [text for text in texts if text]


def submit(service, script, headers=None, **options):
    """A new job's body, as it was accepted."""
    body = service.ask(script, **options)
    answer = httpx.post(f"{service.url}/v1/jobs", json=body, headers=headers, timeout=30)
    assert answer.status_code == 202, answer.text
    return answer.json()


def cancel(service, job_id):
    """The response to a job's cancellation."""
    return httpx.delete(f"{service.url}/v1/jobs/{job_id}", timeout=30)


def job(service, job_id, headers=None):
    """A job as its caller sees it."""
    return service.get(f"/v1/jobs/{job_id}", headers).json()


def await_end(service, job_id, within_s=40, headers=None):
    """A job that has ended."""

    def ended():
        shown = job(service, job_id, headers)
        return shown if shown["state"] not in ("queued", "running") else None

    return wait_for(ended, within_s)


def await_step(service, job_id, step, tokens=1):
    """Wait until a step has produced tokens."""
    seen = 0
    url = f"{service.url}/v1/jobs/{job_id}/events"
    with httpx.stream("GET", url, timeout=30) as answer:
        for _, kind, event in frames(answer):
            if kind == "token" and event["step"] == step:
                seen += len(event["token_ids"])
                if seen >= tokens:
                    return
    raise AssertionError(f"{step} of {job_id} produced nothing")


def read_events(service, job_id, *, after=None, most=None):
    """(id, type, body) of each event, up to the end or `most` of them."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    events = []
    url = f"{service.url}/v1/jobs/{job_id}/events"
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        for event in frames(answer):
            events.append(event)
            if len(events) == most:
                break
    return events


def frames(answer):
    """(number, type, body) of each frame of an SSE response; `[DONE]` is none."""
    seq, kind = 0, None
    for line in answer.iter_lines():
        if line.startswith("id: "):
            seq = int(line[4:])
        elif line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: {"):
            yield seq, kind, json.loads(line[6:])


def text_of(events):
    """The text in a job's events."""
    return "".join(body["text"] for _, kind, body in events if kind == "token")


def logged(service, job_id):
    """(attempt, token ids) of each token event of a job."""
    events = [body for _, kind, body in read_events(service, job_id) if kind == "token"]
    return [(event["attempt"], event["token_ids"]) for event in events]
