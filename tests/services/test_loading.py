"""Loading and unloading on the shipped model, which the catalogue has under three ids."""

import contextlib
import json
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from presets.catalogue import SHIPPED, Catalogue
from tests.support.front_end import MODEL
from tests.support.service import ROOT, Service
from tests.support.service_fixture import MANY
from tests.support.waiting import wait_for

SECOND, THIRD = "smollm2-135m-b", "smollm2-135m-c"
#: What may be left of a model that was unloaded.
LEFT_MB = 50
#: MemoryPool for one of these models; each takes about 340 MB.
ROOM_FOR_ONE_MB = "500"
GIVEN_BACK_WITHIN_S = 10.0


def memory_mb(service):
    """Resident memory of all processes of a service; what two of them share counts twice."""
    total = 0
    for process in [service.supervisor, *service.supervisor.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 2**20


def entry(service, model):
    answer = service.get(f"/v1/models/{model}")
    assert answer.status_code == 200
    return answer.json()


def status(service, model):
    return entry(service, model)["status"]


def load(service, model, **options):
    return service.act(f"/v1/models/{model}/load", **options)


def unload(service, model, **options):
    return service.act(f"/v1/models/{model}/unload", **options)


def asked(service, model, **options):
    return service.post({**service.ask("Say hello.", max_tokens=4, **options), "model": model})


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    """A model whose file is broken, and what it should be."""
    directory = tmp_path_factory.mktemp("models")
    (directory / "broken").mkdir()
    (directory / "broken" / "broken.gguf").write_bytes(b"not a model" * 50)
    return directory


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Starts services that share the requantised weights: making them takes seconds."""
    weights = tmp_path_factory.mktemp("weights")

    @contextlib.contextmanager
    def start(**environment):
        directory = tmp_path_factory.mktemp("loading")
        (directory / "cache").symlink_to(weights)
        # A standby grows while its imports are done, and would count as what a model takes.
        with Service(directory, **MANY, INFERENCE_STANDBY="false", **environment) as running:
            yield running

    return start


@pytest.fixture(scope="module")
def two_models(started, models_dir):
    """A service that starts with one model and has more."""
    environment = {"INFERENCE_MODELS_DIR": str(models_dir), "INFERENCE_PRELOAD_MODELS": MODEL}
    with started(**environment) as running:
        yield running


def test_two_models_side_by_side_and_the_memory_is_back(two_models):
    assert status(two_models, SECOND) == "available"
    refused = asked(two_models, SECOND).json()["error"]
    assert (refused["code"], refused["details"]["model"]) == ("NO_WORKER", SECOND)
    assert f"inference-service load {SECOND}" in refused["message"]

    before_mb = memory_mb(two_models)
    answers = []
    twice = [
        threading.Thread(target=lambda: answers.append(load(two_models, SECOND))) for _ in range(2)
    ]
    for thread in twice:
        thread.start()
    for thread in twice:
        thread.join()
    for answer in answers:
        assert answer.status_code == 200
        assert answer.json() == {
            "id": SECOND,
            "status": "loaded",
            "message": answer.json()["message"],
        }
    assert len(two_models.worker_pids(SECOND)) == 1
    assert load(two_models, SECOND).json()["message"] == f"{SECOND} is loaded already."
    for model in (MODEL, SECOND):
        assert asked(two_models, model).json()["model"] == model
    ready = two_models.readiness()[1]
    assert ready["loaded_models"] == [MODEL, SECOND]
    assert memory_mb(two_models) > before_mb + 4 * LEFT_MB

    answer = unload(two_models, SECOND)
    assert (answer.status_code, answer.json()["status"]) == (200, "available")
    assert status(two_models, SECOND) == "available"
    wait_for(lambda: memory_mb(two_models) < before_mb + LEFT_MB, GIVEN_BACK_WITHIN_S)
    assert unload(two_models, SECOND).json()["message"] == f"{SECOND} is not loaded."
    assert two_models.readiness()[1]["degraded"] == []


def test_a_load_during_an_unload_waits_for_it_and_the_answer_before_it_is_whole(two_models):
    assert load(two_models, SECOND).status_code == 200
    body = {**two_models.ask("Tell me a story.", max_tokens=120), "model": SECOND}
    with two_models.open_stream(body) as stream:
        contents = stream.contents()
        next(contents)
        (pid,) = two_models.worker_pids(SECOND)
        assert unload(two_models, SECOND, wait="false").status_code == 202
        wait_for(lambda: status(two_models, SECOND) == "unloading")
        refused = asked(two_models, SECOND)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "NO_WORKER")
        loading = []
        asking = threading.Thread(target=lambda: loading.append(load(two_models, SECOND)))
        asking.start()
        assert len("".join(contents)) > 100
    asking.join()
    assert (loading[0].status_code, loading[0].json()["status"]) == (200, "loaded")
    assert two_models.worker_pids(SECOND) != [pid]
    assert asked(two_models, SECOND).status_code == 200
    assert unload(two_models, SECOND).status_code == 200


def test_an_unload_during_a_load_ends_it(two_models):
    assert load(two_models, SECOND, wait="false").status_code == 202
    wait_for(lambda: two_models.worker_pids(SECOND))
    answer = unload(two_models, SECOND)
    assert (answer.status_code, answer.json()["status"]) == (200, "available")
    wait_for(lambda: two_models.worker_pids(SECOND) == [])
    assert status(two_models, SECOND) == "available"


def test_what_cannot_be_loaded_says_why_and_can_be_tried_again(two_models, models_dir):
    unknown = load(two_models, "smollm2-135m-d").json()["error"]
    assert unknown["code"] == "MODEL_NOT_FOUND"
    assert unknown["details"]["suggestion"].startswith(MODEL)
    missing = load(two_models, "phi-4")
    assert (missing.status_code, missing.json()["error"]["code"]) == (500, "MODEL_LOAD_FAILED")
    assert str(models_dir / "phi-4") in missing.json()["error"]["message"]
    assert "inference-service pull phi-4" in missing.json()["error"]["message"]

    broken = load(two_models, "broken")
    assert (broken.status_code, broken.json()["error"]["code"]) == (500, "MODEL_LOAD_FAILED")
    assert "GGUF" in broken.json()["error"]["message"]
    listed = entry(two_models, "broken")
    assert (listed["status"], listed["error"]["code"]) == ("failed", "MODEL_LOAD_FAILED")
    assert asked(two_models, "broken").status_code == 500
    wait_for(lambda: two_models.worker_pids("broken") == [])

    file = models_dir / "broken" / "broken.gguf"
    file.unlink()
    file.symlink_to(Catalogue.load(None, "llamacpp").get(SHIPPED).path)
    assert load(two_models, "broken").status_code == 200
    assert asked(two_models, "broken").status_code == 200
    assert unload(two_models, "broken").status_code == 200


def test_the_commands(two_models):
    loaded = two_models.run("load", "--no-wait", SECOND)
    assert (loaded.returncode, loaded.stdout) == (
        0,
        f"{SECOND} is being loaded; GET /v1/models/{SECOND} says how far it is.\n",
    )
    wait_for(lambda: status(two_models, SECOND) == "loaded", 30)
    unloaded = two_models.run("unload", SECOND)
    assert (unloaded.returncode, "unloaded" in unloaded.stdout) == (0, True)
    unknown = two_models.run("load", "smollm2")
    assert (unknown.returncode, "Did you mean" in unknown.stderr) == (1, True)


def test_a_worker_of_ones_own_gives_its_memory_back_and_waits(two_models):
    """No supervisor starts it again: the process stays, and is small."""
    with subprocess.Popen(
        [sys.executable, "-m", "web.cli", "worker", THIRD],
        cwd=ROOT,
        env=two_models.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as own:
        try:
            process = psutil.Process(own.pid)
            wait_for(lambda: status(two_models, THIRD) == "loaded", 30)
            loaded_mb = process.memory_info().rss / 2**20
            assert unload(two_models, THIRD).status_code == 200
            wait_for(lambda: process.memory_info().rss / 2**20 < loaded_mb / 2)
            wait_for(lambda: THIRD in process.cmdline())
            refused = asked(two_models, THIRD)
            assert refused.json()["error"]["code"] == "NO_WORKER"
            assert load(two_models, THIRD).status_code == 200
            assert asked(two_models, THIRD).status_code == 200
            assert two_models.worker_pids(THIRD) == []
            assert own.poll() is None
        finally:
            own.send_signal(signal.SIGTERM)
            own.wait(20)
    assert own.returncode == 0


def test_two_services_side_by_side(two_models, started):
    """Their data directories and ports are their own, and so are their models."""
    with started(INFERENCE_PRELOAD_MODELS=SECOND) as other:
        assert asked(other, SECOND).json()["model"] == SECOND
        assert asked(two_models, MODEL).json()["model"] == MODEL
        assert asked(two_models, SECOND).json()["error"]["code"] == "NO_WORKER"
        assert unload(other, SECOND).status_code == 200
        assert other.readiness() == (
            503,
            {
                "status": "not_ready",
                "reason": "no model is loaded",
                "progress": "0/1",
                "models": [{"id": SECOND, "status": "available"}],
            },
        )
        assert asked(two_models, MODEL).status_code == 200


@pytest.fixture(scope="module")
def one_place(started):
    """A service that loads on demand, and has room for one model."""
    environment = {
        "INFERENCE_PRELOAD_MODELS": MODEL,
        "INFERENCE_MAX_CONCURRENT_PER_MODEL": "2",
        "INFERENCE_LOAD_ON_DEMAND": "true",
        "INFERENCE_SWAP": "true",
        "INFERENCE_SWAP_MAX_WAIT_S": "1",
        "INFERENCE_GRACE_S": "1",
        "INFERENCE_MEMORY_LIMIT_MB": ROOM_FOR_ONE_MB,
    }
    with started(**environment) as running:
        yield running


def test_a_request_loads_its_model_in_place_of_the_idle_one(one_place):
    before_mb = memory_mb(one_place)
    assert asked(one_place, SECOND).json()["model"] == SECOND
    assert (status(one_place, SECOND), status(one_place, MODEL)) == ("loaded", "available")
    assert abs(memory_mb(one_place) - before_mb) < LEFT_MB
    ready, body = one_place.readiness()
    assert (ready, body["loaded_models"], body["degraded"]) == (200, [SECOND], [])


def test_a_long_answer_makes_room_and_goes_on_when_its_model_is_back(one_place):
    """Longer than the longest wait and the grace together."""
    assert asked(one_place, MODEL).status_code == 200
    body = {
        **one_place.ask(
            "Write a very long story about a dragon, with many chapters.",
            max_tokens=250,
            temperature=0,
        ),
        "stream_options": {"include_usage": True},
    }
    with one_place.open_stream(body) as stream:
        events = stream.events()
        next(events)
        assert asked(one_place, SECOND).json()["model"] == SECOND
        frames = [json.loads(event) for event in events if event != "[DONE]"]
    assert not [frame for frame in frames if "error" in frame]
    finished = [c["finish_reason"] for frame in frames for c in frame["choices"]]
    assert finished[-1] == "length"
    assert frames[-1]["usage"]["completion_tokens"] == 250
    assert "the step is released for another worker" in one_place.logs()


def test_too_little_memory_for_what_is_asked_for_by_name(one_place):
    assert asked(one_place, MODEL).status_code == 200
    refused = load(one_place, SECOND)
    assert refused.status_code == 507
    error = refused.json()["error"]
    assert error["code"] == "INSUFFICIENT_MEMORY"
    assert error["details"]["needed_mb"] > error["details"]["available_mb"]
    assert MODEL in error["message"]
    assert status(one_place, SECOND) == "available"
    assert unload(one_place, MODEL).status_code == 200
    assert load(one_place, SECOND).status_code == 200


def test_two_models_in_one_place_while_requests_for_both_keep_coming(one_place):
    """None starves: each model is loaded again and again, and every request is answered."""
    answered = {MODEL: [], SECOND: []}
    enough = threading.Event()

    def keep_asking(model):
        while not enough.is_set():
            answer = asked(one_place, model)
            answered[model].append(answer.status_code)

    callers = [
        threading.Thread(target=keep_asking, args=(model,)) for model in answered for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    with one_place.redis() as redis:
        seen = []

        def changed():
            holder = [w for w in answered if redis.hexists("inference:loaded_since", w)]
            if holder and holder[:1] != seen[-1:]:
                seen.append(holder[0])
            return len(seen) >= 4

        wait_for(changed, 60)
    enough.set()
    for caller in callers:
        caller.join(60)
    for model, statuses in answered.items():
        assert set(statuses) == {200}, model
    assert {*seen[:2]} == {*seen[2:4]} == {MODEL, SECOND}


def test_a_model_that_nobody_uses_leaves(started):
    environment = {"INFERENCE_IDLE_UNLOAD_S": "1", "INFERENCE_LOAD_ON_DEMAND": "true"}
    with started(**environment) as service:
        loaded_mb = memory_mb(service)
        wait_for(lambda: status(service, MODEL) == "available", 15)
        wait_for(lambda: memory_mb(service) < loaded_mb - 4 * LEFT_MB)
        assert asked(service, MODEL).status_code == 200
