"""`make chaos`: faults at random under load, and a report of what became of the work.

python -m tests.faults.chaos --seconds 300 --seed 1
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil

from tests.support.followers import Follower
from tests.support.front_end import MODEL
from tests.support.service import Service

CLIENTS = 12
PAUSE_S = 12
REPORT = Path(__file__).parent / "results" / "chaos.json"
_CHILDREN = {"worker": ("worker", MODEL), "keeper": ("--orchestration",), "web": ("web",)}


def _find(service, name):
    """The processes that a fault hits."""
    children = service.supervisor.children(recursive=True)
    processes = []
    for process in children:
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if name == "redis" and any("valkey" in part for part in line[:1]):
            processes.append(process)
        if name in _CHILDREN and line[-len(_CHILDREN[name]) :] == list(_CHILDREN[name]):
            processes.append(process)
    return processes


def _strike(service, fault):
    """One fault; returns False where there was nothing to hit."""
    if fault == "connections":
        with service.redis() as redis:
            for kind in ("normal", "pubsub"):
                redis.client_kill_filter(_type=kind, skipme=True)
        return True
    name, _, how = fault.partition(" ")
    hit = _find(service, name)
    for process in hit:
        if how == "ends":
            process.terminate()
        else:
            process.kill()
    return bool(hit)


class Load:
    """Clients that ask one thing after the other and check what they get."""

    def __init__(self, service, seed):
        self._service = service
        self._seed = seed
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.running = set()
        self.jobs = []
        self.counts = dict.fromkeys(
            ("accepted", "refused", "completed", "lost", "doubled", "seams"), 0
        )
        self.problems = []
        self.threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]

    def count(self, name, by=1):
        with self.lock:
            self.counts[name] += by

    def _ask(self, number):
        choose = random.Random(f"{self._seed}-{number}")
        while not self.ending.is_set():
            words = choose.randint(20, 200)
            text = " ".join(f"{number}.{place}" for place in range(words))
            body = self._service.ask({"text": text, "tokens_per_s": 40})
            if number % 3 == 0:
                self._submit(body, text, words)
            else:
                self._follow(body, text, words)

    def _submit(self, body, text, words):
        try:
            answer = httpx.post(f"{self._service.url}/v1/jobs", json=body, timeout=30)
        except httpx.TransportError:
            self.count("refused")
        else:
            if answer.status_code == 202:
                self.count("accepted")
                with self.lock:
                    self.jobs.append((answer.json()["id"], text, words))
            else:
                self.count("refused")
        self.ending.wait(1.0)

    def _follow(self, body, text, words):
        follower = Follower(self._service, body)
        with self.lock:
            self.running.add(follower)
        follower.start()
        try:
            follower.join()
        except BaseException as problem:
            if follower.job_id is None:  # nothing was accepted, and its client knows
                self.count("refused")
                self.ending.wait(0.5)
            else:
                self.count("accepted")
                self.count("lost")
                self.problems.append(f"{follower.job_id}: {problem!r:.300}")
            return
        finally:
            with self.lock:
                self.running.discard(follower)
        self.count("accepted")
        self._check(follower.job_id, follower.text, follower.usage, text, words)

    def _check(self, job_id, seen, usage, text, words):
        if seen == text and usage["completion_tokens"] == words:
            self.count("completed")
        else:
            self.count("doubled" if len(seen) > len(text) else "lost")
            self.problems.append(f"{job_id}: {seen!r:.200} is not {text!r:.200}, {usage}")

    def settle(self):
        """Wait for everything that was accepted."""
        self.ending.set()
        for thread in self.threads:
            thread.join(150)
        deadline = time.monotonic() + 150
        for job_id, text, words in self.jobs:
            record = {"state": "unknown"}
            while time.monotonic() < deadline:
                try:
                    record = self._service.get(f"/v1/jobs/{job_id}").json()
                except httpx.TransportError:
                    pass
                if record.get("state") in ("completed", "failed", "cancelled", "expired"):
                    break
                time.sleep(0.2)
            if record.get("state") == "completed":
                choice = record["result"]["choices"][0]
                seen, usage = choice["message"]["content"], record["result"]["usage"]
                self._check(job_id, seen, usage, text, words)
            else:
                self.count("lost")
                self.problems.append(f"{job_id}: {json.dumps(record)[:300]}")


def _recoveries(load, fault_at, followers):
    """Seconds from a fault until each stream that was running had new text."""
    reached = {follower: len(follower.text) for follower in followers}
    took = []
    while reached and time.monotonic() - fault_at < 60:
        for follower in list(reached):
            if len(follower.text) > reached[follower] + 20:
                took.append(time.monotonic() - fault_at)
                del reached[follower]
            elif follower.finish_reason is not None or follower.problem is not None:
                del reached[follower]
        time.sleep(0.02)
    load.count("seams", len(took))
    return took


def run(seconds, seed):
    choose = random.Random(seed)
    faults = ["worker", "worker ends", "redis", "web", "keeper", "connections"]
    struck, recoveries = dict.fromkeys(faults, 0), {fault: [] for fault in faults}
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        service = Service(
            Path(directory) / "data",
            INFERENCE_BACKEND="scripted",
            INFERENCE_MAX_CONCURRENT_PER_MODEL="16",
            INFERENCE_MAX_CONCURRENT_REQUESTS="64",
            INFERENCE_GRACE_S="1",
        )
        service.start()
        service.await_ready()
        try:
            load = Load(service, seed)
            for thread in load.threads:
                thread.start()
            until = time.monotonic() + seconds
            due = []
            while time.monotonic() < until:
                time.sleep(choose.uniform(0.5, 1.5) * PAUSE_S)
                due = due or choose.sample(faults, len(faults))  # each once before any again
                fault = due.pop()
                with load.lock:
                    followers = [request for request in load.running if request.text]
                at = time.monotonic()
                if _strike(service, fault):
                    struck[fault] += 1
                    print(f"{at - until + seconds:6.1f} s  {fault}", flush=True)
                    recoveries[fault] += _recoveries(load, at, followers)
            load.settle()
        finally:
            service.kill()
    return {
        "seconds": seconds,
        "seed": seed,
        "faults": struck,
        **load.counts,
        "recovery_s": {
            fault: {
                "streams": len(took),
                "p50": round(sorted(took)[len(took) // 2], 2),
                "p99": round(sorted(took)[int(len(took) * 0.99)], 2),
            }
            for fault, took in recoveries.items()
            if took
        },
        "problems": load.problems,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    report = run(options.seconds, options.seed)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    sys.exit(bool(report["lost"] or report["doubled"]))


if __name__ == "__main__":
    main()
