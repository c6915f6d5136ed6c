"""Faults on real processes: every stream stays whole, every accepted job ends.

Each kind of fault cuts 32 streams: four times eight that are in the middle of their text.
"""

import contextlib
import json
import signal
import subprocess
import sys
import threading

import httpx
import psutil
import pytest

from tests.support.followers import SPOKEN, TEXT, WHOLE_WITHIN_S, WORDS, Followers
from tests.support.front_end import MODEL
from tests.support.jobs import await_end, await_step, submit
from tests.support.service import ROOT, Service
from tests.support.service_fixture import SCRIPTED, service_fixture
from tests.support.waiting import wait_for
from tests.support.websocket import Socket
from workers.contract.step import answer_step

STREAMS, ROUNDS = 8, 4
#: It takes less than 5 s (docs/RECOVERY.md); the rest is for a busy machine.
TAKEN_OVER_WITHIN_S = 15
#: Enough text to be in the middle of it.
SOME = 60

pytestmark = pytest.mark.timeout(400)


service = service_fixture(
    "Sixteen answers at once, little patience with a worker that is to end.",
    INFERENCE_MAX_CONCURRENT_PER_MODEL="16",
    INFERENCE_GRACE_S="0.5",
    INFERENCE_MAX_CONCURRENT_REQUESTS="64",
    **SCRIPTED,
)


@pytest.fixture
def other_worker(service):
    """A second worker of the model."""
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "worker", MODEL],
        cwd=ROOT,
        env=service.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(serving(service)) == 2, 30)
    follow(service).assert_whole()  # a keeper that was elected just now judges nobody yet
    yield process
    process.terminate()
    process.wait(20)


def serving(service):
    """Pids of the workers that say they serve."""
    from workers.cluster.directory import Directory

    return [worker.pid for worker in Directory(service.redis(), ttl_s=0).serving(MODEL)]


def redis_server(service):
    return next(
        process
        for process in service.supervisor.children(recursive=True)
        if "valkey" in process.name() or "redis-server" in process.name()
    )


def follow(service, count=STREAMS):
    return Followers(service, [service.ask(SPOKEN) for _ in range(count)])


def attempts(service, streams):
    """How often each stream's step was begun."""
    ids = [follower.job_id for follower in streams.followers]
    return [service.get(f"/v1/jobs/{job_id}").json()["attempt"] for job_id in ids]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_worker_that_is_killed_goes_on_where_it_was(service, round_):
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    service.child("worker", MODEL).send_signal(signal.SIGKILL)
    streams.assert_whole()
    assert attempts(service, streams) == [2] * STREAMS
    assert not any(follower.resumed for follower in streams.followers)


def test_every_choice_goes_on_where_it_was(service):
    wait_for(service.is_ready, 40)
    job_id = submit(service, SPOKEN, n=4)["id"]
    for choice in range(4):
        await_step(service, job_id, answer_step(choice), tokens=10)
    service.child("worker", MODEL).kill()
    ended = await_end(service, job_id)
    assert [step["attempt"] for step in ended["steps"]] == [2] * 4
    choices = ended["result"]["choices"]
    assert [choice["message"]["content"] for choice in choices] == [TEXT] * 4
    assert ended["result"]["usage"]["completion_tokens"] == 4 * WORDS


def test_logprobs_that_were_told_are_kept_and_go_on(service):
    """The stop string holds back every word's text, so that the log is ahead of the text."""
    wait_for(service.is_ready, 40)
    asked = {"logprobs": True, "top_logprobs": 20, "stop": [f"{WORDS * ' '}x"]}
    job_id = submit(service, SPOKEN, **asked)["id"]
    await_step(service, job_id, answer_step(0), tokens=10)
    service.child("worker", MODEL).kill()
    ended = await_end(service, job_id)
    assert ended["attempt"] == 2
    (choice,) = ended["result"]["choices"]
    assert choice["message"]["content"] == TEXT
    content = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == TEXT
    assert {len(entry["top_logprobs"]) for entry in content} == {20}


def test_what_an_answer_repeats_comes_once(service):
    wait_for(service.is_ready, 40)
    prompt = json.dumps({"scripted": SPOKEN})
    body = {"model": MODEL, "prompt": [prompt] * 2, "echo": True, "max_tokens": 1000}
    job_id = httpx.post(f"{service.url}/v1/jobs", json=body).json()["id"]
    for choice in range(2):
        await_step(service, job_id, answer_step(choice), tokens=10)
    service.child("worker", MODEL).kill()
    result = await_end(service, job_id)["result"]
    assert [choice["text"] for choice in result["choices"]] == [prompt + TEXT] * 2


def test_every_kind_of_reader_sees_one_answer(service):
    """A plain response, a WebSocket and a poller, while the worker is killed."""
    wait_for(service.is_ready, 40)
    answers = []
    plain = threading.Thread(target=lambda: answers.append(service.post(service.ask(SPOKEN))))
    plain.start()
    socket = Socket(service, "/v1/ws/chat")
    socket.say({"type": "chat", **service.ask(SPOKEN)})
    polled = httpx.post(f"{service.url}/v1/jobs", json=service.ask(SPOKEN)).json()
    wait_for(lambda: service.redis().scard(f"inference:running:{MODEL}") == 3)
    service.child("worker", MODEL).kill()
    events, code = socket.rest()
    assert code == 1000
    assert "".join(event["text"] for event in events if event["type"] == "token") == TEXT
    assert [event["attempt"] for event in events if event["type"] == "started"] == [1, 2]
    plain.join(60)
    assert answers[0].json()["choices"][0]["message"]["content"] == TEXT
    wait_for(lambda: state(service, polled["id"]) == "completed", 60)
    job = service.get(polled["status_url"]).json()
    assert job["result"]["choices"][0]["message"]["content"] == TEXT
    assert job["attempt"] == 2


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_another_worker_of_the_model_takes_over(service, other_worker, round_):
    streams = follow(service)
    streams.await_text(SOME)
    held = held_by(service, other_worker.pid)
    cut = [follower for follower in streams.followers if follower.job_id in held]
    other_worker.kill()
    own = service.child("worker", MODEL)
    assert cut
    reached = [len(follower.text) for follower in cut]
    wait_for(
        lambda: all(
            len(follower.text) > length + SOME // 4
            for follower, length in zip(cut, reached, strict=True)
        ),
        TAKEN_OVER_WITHIN_S,
    )
    streams.assert_whole()
    assert own.is_running()


def held_by(service, pid):
    """Ids of the jobs whose steps this process holds."""
    redis = service.redis()
    job_ids = []
    for key in redis.scan_iter("inference:held:*"):
        presence = redis.get(key.replace(b"held:", b"worker:"))
        if presence is not None and f'"pid": {pid},'.encode() in presence:
            job_ids += [member.decode().partition("|")[0] for member in redis.smembers(key)]
    return job_ids


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_connections_that_are_cut_stop_no_stream_and_start_nothing_twice(service, round_):
    wait_for(service.is_ready, 40)
    streams = follow(service, 2 * STREAMS)
    streams.await_text(SOME)
    with service.redis() as redis:
        for kind in ("normal", "pubsub"):
            redis.client_kill_filter(_type=kind, skipme=True)
    streams.assert_whole()
    assert attempts(service, streams) == [1] * 2 * STREAMS


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_redis_that_is_killed_comes_back_and_nobody_noticed(service, round_):
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    redis_server(service).kill()
    streams.assert_whole()
    assert attempts(service, streams) == [1] * STREAMS


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_front_end_that_is_killed_loses_no_stream(service, round_):
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    for process in (*service.child("web").children(), service.child("web")):
        process.kill()
    streams.assert_whole()
    assert all(follower.resumed for follower in streams.followers)
    assert attempts(service, streams) == [1] * STREAMS


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_worker_that_is_told_to_end_hands_back_what_it_cannot_end(service, round_):
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    service.child("worker", MODEL).terminate()
    streams.assert_whole()
    assert attempts(service, streams) == [2] * STREAMS
    redis = service.redis()
    for follower in streams.followers:  # nobody is blamed
        assert not redis.hget(f"inference:job:{follower.job_id}", "answer:crashes_together")


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_the_keeper_dies_with_the_worker(service, round_):
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    service.child("--orchestration").kill()
    service.child("worker", MODEL).kill()
    streams.assert_whole()


def test_a_second_keeper_changes_nothing(service):
    second = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "worker", "--orchestration"],
        cwd=ROOT,
        env=service.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(service.is_ready, 40)
        streams = follow(service)
        streams.await_text(SOME)
        service.child("worker", MODEL).kill()
        streams.assert_whole()
        assert attempts(service, streams) == [2] * STREAMS
    finally:
        second.terminate()
        second.wait(20)


def test_a_message_that_is_lost_on_its_way_is_sent_again(tmp_path):
    """As if a worker had died between taking it from the queue and taking its lease."""
    with Service(tmp_path / "narrow", INFERENCE_BACKEND="scripted") as narrow:
        redis = narrow.redis()
        blocker = httpx.post(
            f"{narrow.url}/v1/jobs", json=narrow.ask({"repeat": True, "tokens_per_s": 50})
        ).json()
        wait_for(lambda: narrow.get(blocker["status_url"]).json()["state"] == "running")
        job = httpx.post(f"{narrow.url}/v1/jobs", json=narrow.ask({"text": "found"})).json()
        (queue,) = [key for key in redis.keys(f"model.{MODEL}*") if redis.llen(key)]
        assert redis.rpop(queue)
        httpx.delete(f"{narrow.url}{blocker['status_url']}")
        ended = wait_for(
            lambda: (seen := narrow.get(job["status_url"]).json())["state"] == "completed" and seen,
            20,
        )
        assert ended["result"]["choices"][0]["message"]["content"] == "found"


def test_everything_is_restarted_one_by_one_under_load(service):
    wait_for(service.is_ready, 40)
    ids = []

    def submit(count):
        for _ in range(count):
            answer = httpx.post(f"{service.url}/v1/jobs", json=service.ask(SPOKEN), timeout=30)
            assert answer.status_code == 202, answer.text
            ids.append(answer.json()["id"])

    submit(16)
    for name in (("worker", MODEL), ("--orchestration",), ("web",)):
        process = service.child(*name)
        process.terminate()
        process.wait(30)
        wait_for(service.is_ready, 60)
        submit(8)
    for job_id in ids:
        wait_for(lambda job_id=job_id: state(service, job_id) == "completed", 90)
        job = service.get(f"/v1/jobs/{job_id}").json()
        assert job["result"]["choices"][0]["message"]["content"] == TEXT
        assert job["result"]["usage"]["completion_tokens"] == WORDS


def state(service, job_id):
    return service.get(f"/v1/jobs/{job_id}").json()["state"]


def test_a_poisoned_request_is_set_aside_and_its_neighbours_are_not_blamed(tmp_path):
    environment = {"INFERENCE_BACKEND": "scripted", "INFERENCE_MAX_CONCURRENT_PER_MODEL": "4"}
    with Service(tmp_path / "poison", **environment) as poisoned:
        bodies = [poisoned.ask({**SPOKEN, "tokens_per_s": 10}) for _ in range(3)]
        neighbours = Followers(poisoned, bodies)
        neighbours.await_text(10)
        job = httpx.post(
            f"{poisoned.url}/v1/jobs", json=poisoned.ask({"text": TEXT, "die_after": 2})
        ).json()
        neighbours.assert_whole()
        ended = wait_for(
            lambda: (seen := poisoned.get(job["status_url"]).json())["state"] == "failed" and seen,
            100,
        )
        assert ended["error"]["code"] == "JOB_POISONED"
        assert ended["error"]["details"]["crashes"] == 3
        wait_for(poisoned.is_ready, 60)
        assert poisoned.post(poisoned.ask({"text": "well"})).status_code == 200
        shown = poisoned.run("jobs", "dead")
        assert job["id"] in shown.stdout
        again = poisoned.run("jobs", "retry", job["id"])
        assert again.stdout.startswith("chatcmpl-")
        assert poisoned.run("jobs", "cancel", again.stdout.strip()).returncode == 0
        assert job["id"] not in poisoned.run("jobs", "dead").stdout


def test_redis_without_memory_stops_the_flow_and_lets_it_go_on(service):
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    redis = service.redis()
    limit = redis.config_get("maxmemory")["maxmemory"]
    redis.config_set("maxmemory", 1)
    try:
        refused = service.post(service.ask({"text": "x"}))
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "TEMPORARY_RESOURCE"
    finally:
        redis.config_set("maxmemory", limit)
    streams.assert_whole()
    assert attempts(service, streams) == [1] * STREAMS


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux'")
def test_a_disk_that_is_full_stops_the_flow_and_lets_it_go_on(service):
    """Redis may not make any file longer, which it meets as it meets a full disk."""
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    server = redis_server(service)
    server.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
    try:
        wait_for(lambda: "disk" in service.post(service.ask({"text": "x"})).text, 20)
        refused = service.post(service.ask({"text": "x"}))
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "TEMPORARY_RESOURCE"
    finally:
        server.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    streams.assert_whole()
    wait_for(lambda: service.post(service.ask({"text": "x"})).status_code == 200, 20)


def test_a_machine_that_slept_blames_nobody(service):
    """Every process stands still for longer than a lease, Redis too."""
    wait_for(service.is_ready, 40)
    streams = follow(service)
    streams.await_text(SOME)
    asleep = service.supervisor.children(recursive=True)
    for process in asleep:
        process.suspend()
    try:
        with pytest.raises(psutil.TimeoutExpired):
            asleep[0].wait(5)
    finally:
        for process in reversed(asleep):
            process.resume()
    streams.assert_whole()
    assert attempts(service, streams) == [1] * STREAMS


def test_a_background_response_is_whole_and_each_event_comes_once(service):
    """The front end, the worker and Redis are killed, one after the other, while it is read."""
    wait_for(service.is_ready, 40)
    asked = {"model": MODEL, "input": json.dumps({"scripted": SPOKEN}), "background": True}
    response = httpx.post(f"{service.url}/v1/responses", json=asked, timeout=40).json()
    url, events, text = f"{service.url}/v1/responses/{response['id']}", [], []

    def kill_front_end():
        for process in (*service.child("web").children(), service.child("web")):
            process.kill()

    #: Each after so much of the text.
    kills = [
        (0.2, kill_front_end),
        (0.4, lambda: service.child("worker", MODEL).kill()),
        (0.6, lambda: redis_server(service).kill()),
    ]

    def read_on():
        """Read after the last event that came; True at the last one of all."""
        query = {"stream": "true"} | ({"starting_after": events[-1]} if events else {})
        with (
            contextlib.suppress(httpx.TransportError),
            httpx.stream("GET", url, params=query, timeout=WHOLE_WITHIN_S) as answer,
        ):
            if answer.status_code >= 500:
                return False  # Redis is away
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if not line.startswith("data: "):
                    continue
                event = json.loads(line.removeprefix("data: "))
                events.append(event["sequence_number"])
                text.append(event.get("delta", ""))
                if kills and len("".join(text)) > kills[0][0] * len(TEXT):
                    kills.pop(0)[1]()
                if event["type"] == "response.completed":
                    return True
        return False

    wait_for(read_on, WHOLE_WITHIN_S)
    assert not kills
    assert events == [*range(len(events))]
    assert "".join(text) == TEXT
    wait_for(service.is_ready, 40)
    assert httpx.get(url, timeout=40).json()["output"][0]["content"][0]["text"] == TEXT
