"""A real Prometheus sees what was asked, and answers what alerts and dashboards ask it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import psutil
import pytest

from tests.seen.conftest import KEY
from tests.support.front_end import MODEL, free_port
from tests.support.prometheus import ALERTS, SEEN_WITHIN_S, program
from tests.support.service import ROOT
from tests.support.waiting import wait_for

OTHER = f"{MODEL}-b"
CHAT = 'route="/v1/chat/completions"'
TEXT = {"text": "one two three four five", "tokens_per_s": 200}
#: Panels of what the scripted engine does not have, or what does not happen here.
EMPTY = {
    "model: KV cells",
    "model: Prompt cache",
    "model: Preemptions/s",
    "model: Input from the cache",
    "orchestration: Steps done again by their mode",
    "overview: Spans of traces",
}


def panels():
    for file in sorted((ROOT / "deploy/grafana").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]


@pytest.fixture(scope="module")
def client(seen_service):
    with openai.OpenAI(base_url=seen_service.api_url, api_key=KEY, max_retries=0) as client:
        yield client


def ask(client, script, model=MODEL, mode="single", **options):
    messages = [{"role": "user", "content": json.dumps({"scripted": script})}]
    return client.chat.completions.create(
        model=model, messages=messages, extra_body={"orchestration_mode": mode}, **options
    )


class Asked:
    """What was asked, as its callers saw it."""

    def __init__(self, client, service):
        self.usage = {"input": 0, "output": 0}
        self.requests = {200: 0, 404: 0, 422: 0}
        for number in range(12):
            self._count(ask(client, TEXT, MODEL if number % 3 else OTHER).usage)
        for _ in range(4):
            chunks = list(ask(client, TEXT, stream=True, stream_options={"include_usage": True}))
            self._count(chunks[-1].usage)
        with pytest.raises(openai.APIError):
            list(ask(client, {**TEXT, "fail_after": 2}, stream=True))
        self.requests[200] += 1  # the status was sent before it failed
        for _ in range(3):
            with pytest.raises(openai.NotFoundError):
                ask(client, TEXT, "nobody")
            self.requests[404] += 1
        with pytest.raises(openai.UnprocessableEntityError):
            ask(client, TEXT, temperature=99)
        self.requests[422] += 1
        with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
            connection.sendall(b"nothing that HTTP knows\r\n\r\n")
            assert b" 400 " in connection.recv(4096)
        self.waited_s = self._jobs(service)

    def _count(self, usage):
        self.requests[200] += 1
        self.usage["input"] += usage.prompt_tokens
        self.usage["output"] += usage.completion_tokens

    def _jobs(self, service):
        """Six jobs of a second and a quarter, two at once; returns how long they waited."""
        headers = {"Authorization": f"Bearer {KEY}"}
        script = {"text": "a b c d e", "tokens_per_s": 4}
        # A closed port: nobody hears of their end.
        body = service.ask(
            script, priority=1, orchestration_mode="single", webhook="http://localhost:9/told"
        )
        with httpx.Client(base_url=service.url, headers=headers, timeout=30) as http:
            urls = [http.post("/v1/jobs", json=body).json()["status_url"] for _ in range(6)]
            waited_s = 0.0
            for url in urls:
                ended = wait_for(lambda url=url: _ended(http.get(url).json()), 30)
                usage = ended["result"]["usage"]
                self.usage["input"] += usage["prompt_tokens"]
                self.usage["output"] += usage["completion_tokens"]
                waited_s += ended["timings_ms"]["queued"] / 1000
        return waited_s


def _ended(job):
    return job if job["state"] == "completed" else None


@pytest.fixture(scope="module")
def asked(client, seen_service, prometheus):
    return Asked(client, seen_service)


def test_counts_equal_the_traffic(prometheus, asked):
    for code, requests in asked.requests.items():
        found = f'sum(inference_requests_total{{{CHAT},code="{code}"}})'
        prometheus.await_value(found, requests)
    prometheus.await_value(f'sum(inference_requests_total{{{CHAT},error="ENGINE_FAILED"}})', 1)
    prometheus.await_value(f'sum(inference_requests_total{{{CHAT},model="unknown"}})', 3)
    prometheus.await_value('sum(inference_refused_requests_total{reason="wrong_head"})', 1)
    prometheus.await_value('sum(inference_requests_total{route="/v1/jobs",code="202"})', 6)
    for kind, tokens in asked.usage.items():
        prometheus.await_value(f'sum(inference_tokens_total{{type="{kind}"}})', tokens)
    answered = 'gen_ai_server_request_duration_seconds_count{error_type=""}'
    prometheus.await_value(f"sum({answered})", 12 + 4 + 6)


def test_waits_equal_those_that_jobs_report(prometheus, asked):
    waits = 'inference_queue_wait_seconds_{}{{priority="low"}}'
    prometheus.await_value(f"sum({waits.format('count')})", 6)
    assert prometheus.value(f"sum({waits.format('sum')})") == pytest.approx(asked.waited_s, abs=0.1)
    depth = f'max_over_time(inference_queue_depth{{model="{MODEL}",priority="low"}}[5m])'
    assert 1 <= prometheus.value(depth) <= 4
    oldest = f'max_over_time(inference_queue_oldest_seconds{{model="{MODEL}",priority="low"}}[5m])'
    assert 0 < prometheus.value(oldest) < asked.waited_s


@pytest.mark.parametrize(
    "asked_of_promtool",
    [
        ("check", "rules", ALERTS),
        ("check", "config", ALERTS.parent / "prometheus.yml"),
        ("test", "rules", Path(__file__).parent / "alerts_test.yaml"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_rules_are_well_formed_and_fire_where_they_are_to(asked_of_promtool):
    command = [program("promtool"), *asked_of_promtool]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_evaluated_and_none_fires_that_need_not(prometheus, asked):
    (group,) = wait_for(lambda: _evaluated(prometheus), SEEN_WITHIN_S)
    assert [rule["name"] for rule in group["rules"] if rule["health"] != "ok"] == []
    firing = {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]}
    assert firing <= {"InferenceErrorRate"}  # more of these few requests failed than one in 20


def _evaluated(prometheus):
    groups = prometheus.get("rules")["groups"]
    return groups if all(r["health"] != "unknown" for g in groups for r in g["rules"]) else None


@pytest.fixture
def second_front_end(seen_service):
    """Another front end of the same service, on a port of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "web"],
        cwd=ROOT,
        env={**seen_service.environment, "INFERENCE_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    yield url, process
    for child in psutil.Process(process.pid).children(recursive=True) if _lives(process) else ():
        child.kill()
    process.kill()
    process.wait(10)


def _lives(process):
    return process.poll() is None


def test_any_front_end_answers_for_all_and_counts_outlive_their_processes(
    prometheus, asked, second_front_end, seen_service, client
):
    url, process = second_front_end
    wait_for(lambda: _status(f"{url}/health/ready") == 200, 30)
    elsewhere = 'sum(inference_requests_total{route="/v1/models/<path:model_id>",code="404"})'
    before = prometheus.value(elsewhere)
    headers = {"Authorization": f"Bearer {KEY}"}
    for _ in range(5):
        assert httpx.get(f"{url}/v1/models/nobody", headers=headers).status_code == 404
    prometheus.await_value(elsewhere, before + 5)
    tokens = 'sum(inference_tokens_total{type="output"})'
    told = asked.usage["output"]
    prometheus.await_value(tokens, told)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    # Far from its end when it is killed.
    stream = ask(client, {"text": " ".join("abcdefghijklmnopqrst"), "tokens_per_s": 5}, stream=True)
    next(iter(stream))
    for pid in seen_service.worker_pids():
        psutil.Process(pid).kill()
    assert len(list(stream)) > 1
    prometheus.await_value(tokens, told + 20)  # of both attempts, once
    prometheus.await_value("sum(inference_lost_steps_total)", 1)
    prometheus.await_value("sum(inference_recovered_steps_total)", 1)
    assert prometheus.value(elsewhere) == before + 5
    fell = "sum(resets(inference_tokens_total[10m])) + sum(resets(inference_requests_total[10m]))"
    assert prometheus.value(fell) == 0


def _status(url):
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return None


MEMBERS = {"steps": {f"member-{number}": {"text": "Paris"} for number in (1, 2, 3)}}


def test_every_panel_of_the_dashboards_is_answered(prometheus, asked, client):
    """Also those of what the tests before have done: workers were lost, and steps went on."""
    assert ask(client, MEMBERS, mode="ensemble").choices[0].message.content == "Paris"
    prometheus.await_value('sum(inference_steps_total{mode="ensemble",outcome="stop"})', 3)

    def empty():
        return {
            where
            for where, expression in panels()
            if not prometheus.query(
                expression.replace("$__rate_interval", "2m").replace("$model", MODEL)
            )
        }

    wait_for(lambda: empty() <= EMPTY, SEEN_WITHIN_S)
