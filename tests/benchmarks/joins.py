"""What lies between the last of several members that answer at once and the step after them.

Each says 50 KB, so that a join that carries texts about would show. Measured from the end of the
last member to the beginning of the next step, as one subscriber sees it: the end of the chord, the
deciding step with its look at all answers, its write, and the next step's lease.
"""

import http.client
import json
import tempfile
from pathlib import Path

from redis import Redis

from tests.benchmarks.hops import Listener, complete, whole
from tests.benchmarks.processes import percentile, service
from workers.contract import events
from workers.contract.events import Started, StepFinished
from workers.store import embedded

JOBS, WARM = 40, 5
MEMBERS = (2, 4, 8)
MODEL = "smollm2-135m"
#: 100 tokens of 500 bytes.
TOKENS, TOKEN_BYTES = 100, 500
#: Members end one after the other, as models do: the join is that of the last.
STAGGER_S = 0.03


def run() -> dict:
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as own:
        (Path(own) / "presets.yaml").write_text(
            json.dumps({"presets": [_preset(n) for n in MEMBERS]})
        )
        for members in MEMBERS:
            result |= _measure(members, own)
    return result


def _preset(members: int) -> dict:
    return {
        "id": f"join-{members}",
        "models": [MODEL],
        "mode": "ensemble",
        "members": members,
        "synthesiser": MODEL,
        "hardware": "mac",
    }


def _measure(members: int, own: str) -> dict:
    environment = {
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_CATALOGUE_DIR": own,
        "INFERENCE_CONFIG": f"join-{members}",
    }
    with service(concurrency=members, pinned=False, **environment) as running:
        redis = Redis.from_url(embedded.url(running.data_dir))
        listener = Listener(redis)
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
        joins, bytes_ = [], 0
        for number in range(WARM + JOBS):
            job_id = _ask(connection, members)
            seen = whole(listener, job_id)
            if number >= WARM:
                joins.append(1000 * _join(seen, members))
            bytes_ = sum(len(e.text) for _, e in seen if isinstance(e, events.Token))
        listener.stop()
    return {
        f"{members} members of {bytes_ // members // 1000} KB, end of the last to the next step's "
        "beginning, ms p50 / p99 (aim 10)": [percentile(joins, 0.5), percentile(joins, 0.99)],
    }


def _ask(connection: http.client.HTTPConnection, members: int) -> str:
    steps = {
        f"member-{place}": {
            "text": (f"{place} says what nobody else says. " * 20)[:TOKEN_BYTES],
            "token_bytes": TOKEN_BYTES,
            "repeat": True,
            "tokens_per_s": 1_000_000,
            "prefill_s": STAGGER_S * place,
        }
        for place in range(1, members + 1)
    }
    steps["judge"] = steps["answer"] = {"text": "[1]"}
    message = {"role": "user", "content": json.dumps({"scripted": {"steps": steps}})}
    body = {"model": MODEL, "messages": [message], "max_tokens": TOKENS}
    return str(complete(connection, body)["id"])


def _join(seen: list[tuple[float, events.Event]], members: int) -> float:
    ends = [at for at, event in seen if isinstance(event, StepFinished)]
    begins = [at for at, event in seen if isinstance(event, Started)]
    return begins[members] - ends[members - 1]
