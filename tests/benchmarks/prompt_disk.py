"""What the prompt cache on disk is worth after an unload and a kill, and what writing costs.

The next turn of a long conversation in a new worker, beside the bare engine that puts the same
state back from its memory and reads the same new tokens: CPU time of the process that decodes, to
the first token. A stream that is killed behind a long prompt, beside one behind a short prompt.
Sixteen streams with the disk and without, in turn.
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from presets.catalogue import SHIPPED, Catalogue
from tests.benchmarks.contenders import Round, of_service
from tests.benchmarks.conversations import QUESTION
from tests.benchmarks.processes import OTHER_CORE, Service, pin, service
from workers.engines.llamacpp import weights

#: What is asked: something to which the model has an answer, and a long one.
BEGIN = "Tell me a long story of it."
#: Tokens of the conversation, and of the prompt of the stream that is killed; about.
TOKENS = int(os.environ.get("TOKENS", "4000"))
KILLED_TOKENS = int(os.environ.get("KILLED_TOKENS", "6000"))
KILLS = int(os.environ.get("KILLS", "3"))
#: Streams at once while writing is measured: prompts just long enough to be written.
STREAMS, WORDS, ANSWER, ROUNDS = 16, 540, 32, int(os.environ.get("ROUNDS", "2"))
DISK = {
    "INFERENCE_PROMPT_CACHE_DISK_MB": "4000",
    "INFERENCE_PROMPT_CACHE_MB": "2048",
    "INFERENCE_REQUEST_TIMEOUT": "900",  # a slow machine reads 6,000 tokens for minutes
}


def run() -> dict:
    pin(os.getpid(), OTHER_CORE)
    with service(concurrency=4, **DISK) as running:
        result = {**_turns(running), **_kills(running)}
    return {**result, **_writing()}


def _turns(running: Service) -> dict:
    text = _text(TOKENS)
    asked = (text, BEGIN)
    read = of_service(running, SHIPPED).run([asked], 1)
    _await_files(running, 1)
    turns = {}
    for after, end in (("an unload", _reload), ("a kill", _kill)):
        end(running)
        turns[after] = of_service(running, SHIPPED).run([(text, f"{BEGIN} {QUESTION}")], 1)
    spec = Catalogue.load(None, "llamacpp").get(SHIPPED)
    path = weights.requantised(spec.path, spec.requantise, running.data_dir / "cache")
    command = [sys.executable, "-m", "tests.benchmarks.bare_turns", str(path)]
    given = json.dumps({"first": asked, "then": QUESTION})
    bare = json.loads(
        subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout
    )["restored_cpu_s"]
    result = {f"first turn of {TOKENS} tokens, s of CPU": read.cpu_s}
    result["restore and new tokens in the bare engine, s of CPU"] = bare
    for after, turn in turns.items():
        result |= {
            f"next turn after {after}, s to the first token": turn.first_token_s,
            f"next turn after {after}, s of CPU": turn.cpu_s,
            f"service after {after} over bare (aim 1.3)": turn.cpu_s / bare,
        }
    return result


def _kills(running: Service) -> dict:
    short = statistics.median(_recovery_s(running, f"{i} {BEGIN}", 0) for i in range(KILLS))
    long = _recovery_s(running, _text(KILLED_TOKENS) + BEGIN, 1)
    return {
        "a stream killed behind a short prompt, s to new text": short,
        f"behind one of {KILLED_TOKENS} tokens": long,
        "the long one later by, s (aim 1)": long - short,
    }


def _writing() -> dict:
    rounds: dict[str, list[Round]] = {"on": [], "off": []}
    with (
        service(STREAMS, **DISK) as on,
        service(STREAMS, **{**DISK, "INFERENCE_PROMPT_CACHE_DISK_MB": "0"}) as off,
    ):
        for number in range(ROUNDS):
            asked = [("word " * WORDS, f"{number} {i}: and then?") for i in range(STREAMS)]
            asked = [
                (f"{number} {i} {system}", question) for i, (system, question) in enumerate(asked)
            ]
            for name, running in (("off", off), ("on", on)):
                rounds[name].append(of_service(running, SHIPPED).run(asked, ANSWER))
        _await_files(on, STREAMS)
    cpu_s = {name: statistics.median(r.cpu_s for r in of) for name, of in rounds.items()}
    wall_s = {name: statistics.median(r.wall_s for r in of) for name, of in rounds.items()}
    return {
        f"{STREAMS} prompts of {WORDS} tokens, s of CPU: off / on": [cpu_s["off"], cpu_s["on"]],
        "CPU of on over off (aim 1.02)": cpu_s["on"] / cpu_s["off"],
        "time of on over off": wall_s["on"] / wall_s["off"],
    }


def _text(tokens: int) -> str:
    return "The old bridge is gone and the river is high. " * (tokens // 11)


def _recovery_s(running: Service, content: str, written: int) -> float:
    """Seconds from a kill in the middle of an answer to new text; so many files come before it."""
    arrivals: list[float] = []
    before = len(_files(running))
    reader = threading.Thread(target=_read, args=(running.port, content, arrivals), daemon=True)
    reader.start()
    _await(lambda: len(arrivals) > 8)
    _await_files(running, before + written)
    killed_at = time.perf_counter()
    running.processes()["worker"].kill()
    time.sleep(0.1)  # what was on its way is no new text
    seen = len(arrivals)
    _await(lambda: len(arrivals) > seen)
    took_s = arrivals[seen] - killed_at
    reader.join(300)
    running.pin()
    return took_s


def _read(port: int, content: str, arrivals: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = {
        "model": SHIPPED,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": 100,
        "ignore_eos": True,
        "stream": True,
    }
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    arrivals.extend(time.perf_counter() for line in answer if line.startswith(b"data: {"))


def _reload(running: Service) -> None:
    for what in ("unload", "load"):
        url = f"http://127.0.0.1:{running.port}/v1/models/{SHIPPED}/{what}"
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=300).close()
    running.pin()


def _kill(running: Service) -> None:
    before = running.processes()["worker"]
    before.kill()
    _await(lambda: running.processes().get("worker", before) != before)
    _await(lambda: _loaded(running))
    running.pin()


def _loaded(running: Service) -> bool:
    url = f"http://127.0.0.1:{running.port}/v1/models/{SHIPPED}"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())["status"] == "loaded"
    return False


def _files(running: Service) -> list[Path]:
    return list(running.data_dir.glob("cache/prompts/*/*.prompt"))


def _await_files(running: Service, count: int) -> None:
    _await(lambda: len(_files(running)) >= count)


def _await(condition, within_s: float = 300.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} stayed false")
        time.sleep(0.01)


if __name__ == "__main__":
    from tests.benchmarks.report import print_table

    print_table("prompt disk", run())
