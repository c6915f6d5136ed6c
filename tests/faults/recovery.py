"""How soon text goes on after a kill: `python -m tests.faults.recovery`, and where the time goes.

The only worker of the shipped model is killed again and again while a stream runs; with `--beside`
another worker of it lives. Phases are read from the times in the logs.
"""

import argparse
import contextlib
import datetime
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.support.followers import Follower
from tests.support.service import MODEL, ROOT, Service
from tests.support.waiting import wait_for
from workers.cluster.directory import Directory

#: What a stream is asked for: long enough to be cut in the middle.
PROMPT = "Tell me a long story about a ship."
TOKENS = 400
#: Line of a log -> the phase that it ends. In the order in which they come.
PHASES = {
    "reclaimed": ("orchestration", r"keeper: sent step|lost step"),
    "loading": (f"worker-{MODEL}", r"loading "),
    "consuming": (f"worker-{MODEL}", r"ready, queue"),
}


def serving(service):
    return [worker.pid for worker in Directory(service.redis(), ttl_s=0).serving(MODEL)]


def _phases(service, killed_at):
    """Seconds from the kill to the end of each phase; by the clock of the logs."""
    phases = {}
    for phase, (name, pattern) in PHASES.items():
        for line in (service.data_dir / "logs" / f"{name}.log").read_text().splitlines():
            moment = re.match(r"\S+", line)
            if moment is None or not re.search(pattern, line):
                continue
            try:
                at = datetime.datetime.fromisoformat(moment[0]).timestamp()
            except ValueError:
                continue
            if at > killed_at:
                phases[phase] = round(at - killed_at, 2)
                break
    return phases


def _kill_once(service, pause_s):
    """Seconds until new text, and the phases."""
    began = time.monotonic()
    body = service.ask(PROMPT, max_tokens=TOKENS, temperature=0)
    stream = Follower(service, body)
    stream.start()
    wait_for(lambda: len(stream.text) > 30, 60)
    holder = wait_for(lambda: _holder(service, stream.job_id))
    reached, at, wall = len(stream.text), time.monotonic(), time.time()
    psutil.Process(holder).kill()
    # What was on its way is no new text.
    wait_for(lambda: not psutil.pid_exists(holder) or _is_dead(holder), 5)
    reached = len(stream.text)
    wait_for(lambda: len(stream.text) > reached + 5, 60, every_s=0.005)
    took = time.monotonic() - at
    service.delete(f"/v1/jobs/{stream.job_id}")
    with contextlib.suppress(BaseException):
        stream.join()
    while time.monotonic() - began < pause_s:
        time.sleep(0.05)
    return took, _phases(service, wall)


def _is_dead(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def _holder(service, job_id):
    """The pid of the worker that runs this job."""
    redis = service.redis()
    owner = redis.hget(f"inference:job:{job_id}", "answer:owner")
    presence = redis.get(f"inference:worker:{owner.decode()}") if owner else None
    return json.loads(presence)["pid"] if presence else None


def run(kills, pause_s, *, beside):
    with tempfile.TemporaryDirectory(prefix="recovery-") as directory:
        service = Service(Path(directory) / "data", INFERENCE_MAX_CONCURRENT_PER_MODEL="4")
        service.start()
        service.await_ready()
        time.sleep(pause_s)  # a keeper that was elected just now judges nobody for 6 s
        others = []
        try:
            took, phases = [], []
            for number in range(kills):
                if beside and len(serving(service)) < 2:
                    with contextlib.suppress(BaseException):
                        wait_for(lambda: len(serving(service)) >= 2, 8)
                if beside and len(serving(service)) < 2:
                    others.append(
                        subprocess.Popen(
                            [sys.executable, "-m", "web.cli", "worker", MODEL],
                            cwd=ROOT,
                            env=service.environment,
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL,
                        )
                    )
                    wait_for(lambda: len(serving(service)) >= 2, 60)
                elif not beside:
                    wait_for(service.is_ready, 60)
                seconds, of_kill = _kill_once(service, pause_s)
                took.append(seconds)
                phases.append(of_kill)
                print(f"{number + 1:3}  {seconds:.2f} s  {of_kill}", flush=True)
        finally:
            for other in others:
                other.kill()
                other.wait(10)
            service.kill()
    return took, phases


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--pause", type=float, default=10.0, help="seconds from kill to kill")
    parser.add_argument("--beside", action="store_true", help="another worker of the model lives")
    options = parser.parse_args()
    took, phases = run(options.kills, options.pause, beside=options.beside)
    took.sort()
    print(
        f"p50 {statistics.median(took):.2f} s  p99 {took[int(len(took) * 0.99)]:.2f} s  "
        f"({len(took)} kills)"
    )
    for phase in PHASES:
        seen = [of_kill[phase] for of_kill in phases if phase in of_kill]
        if seen:
            print(f"  {phase:10} {statistics.median(seen):.2f} s after the kill")


if __name__ == "__main__":
    main()
