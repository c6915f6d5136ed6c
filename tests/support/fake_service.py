"""A service that answers at once, behind the HTTP client that talks to the real one."""

import json
import threading

import httpx

from presets.preset import Preset, Stage
from web.evaluate.tasks import Task

TASKS = tuple(Task(f"t{at}", f"{at} + 1?", "number", at + 1) for at in range(4))
CRITIQUE = Preset("pair", ("a", "b"), "critique", "mac", generator="a", critic="b")
PIPELINE = Preset(
    "line", ("a", "b"), "pipeline", "mac", stages=(Stage("draft", "b"), Stage("validate", "a"))
)
SINGLE = Preset("alone", ("a",), "single", "mac")


class FakeService:
    """Jobs of `say(body)`: the answer's text, or a dict with more of the job's end."""

    def __init__(self, say=lambda body: "1", loaded=("a", "b"), steps=None):
        self.say = say
        self.loaded = loaded
        self.loading = ()
        self.steps = steps or {}
        self.refusals = []  # answered before anything else, the first first
        self.bodies = []
        self.most_at_once = 0
        self._jobs = {}
        self._keys = {}
        self._open = set()
        self._lock = threading.Lock()

    def client(self):
        transport = httpx.MockTransport(self._answer)
        return httpx.Client(base_url="http://service", transport=transport)

    def _answer(self, request):
        path = request.url.path
        if path == "/v1/models":
            data = [{"id": name, "status": "loaded"} for name in self.loaded]
            data += [{"id": name, "status": "loading"} for name in self.loading]
            return httpx.Response(200, json={"data": data})
        if request.method == "POST":
            return self._submit(request)
        job_id = path.split("/")[3]
        if path.endswith("/events"):
            last = {"type": self._jobs[job_id]["state"]}
            return httpx.Response(200, text=f": waiting\n\ndata: {json.dumps(last)}\n\n")
        with self._lock:
            self._open.discard(job_id)
        return httpx.Response(200, json=self._jobs[job_id])

    def _submit(self, request):
        body, key = json.loads(request.content), request.headers["Idempotency-Key"]
        with self._lock:
            if self.refusals:
                return self.refusals.pop(0)
            if key in self._keys:
                replayed = {"Idempotent-Replayed": "true"}
                return httpx.Response(202, json={"id": self._keys[key]}, headers=replayed)
            job_id = f"job-{len(self._jobs)}"
            self._jobs[job_id] = self._job(job_id, body)
            self._keys[key] = job_id
            self.bodies.append(body)
            self._open.add(job_id)
            self.most_at_once = max(self.most_at_once, len(self._open))
        return httpx.Response(202, json={"id": job_id})

    def _job(self, job_id, body):
        said = self.say(body)
        fields = said if isinstance(said, dict) else {"text": said}
        mode = body["orchestration_mode"]
        steps = self.steps.get(mode, [("answer", body["model"])])
        usage = {"prompt_tokens": 10, "completion_tokens": fields.get("tokens", 5)}
        job = {
            "id": job_id,
            "state": fields.get("state", "completed"),
            "steps": [{"part": part, "model": model, "usage": usage} for part, model in steps],
        }
        if job["state"] == "completed":
            message = {"content": fields["text"]}
            job["result"] = {"choices": [{"message": message, "finish_reason": "stop"}]}
        else:
            job["error"] = {"code": "ENGINE_FAILED", "message": "it broke"}
        return job


def right(body):
    """What the tasks above ask for."""
    return str(int(body["messages"][0]["content"].split()[0]) + 1)
