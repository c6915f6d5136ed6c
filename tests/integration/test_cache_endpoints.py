"""`/v1/caches` and the command `caches`, on a real server."""

import json

import pytest

from web.access import key_file
from web.app import create_app
from workers.caches import cache as cache_module
from workers.caches.cache import Cache
from workers.caches.compressions import COMPRESSIONS
from workers.metrics import cache_meter
from workers.metrics.process_metrics import ProcessMetrics
from workers.metrics.reporter import MetricsReporter
from workers.settings import read


@pytest.fixture
def settings(tmp_path, redis_socket, redis):
    def settings(**environ):
        environ = {"INFERENCE_DATA_DIR": str(tmp_path), **environ}
        return read({**environ, "INFERENCE_REDIS_URL": f"unix://{redis_socket}"}, env_file=None)

    return settings


@pytest.fixture
def front_end(settings):
    apps = []

    def front_end(**environ):
        apps.append(create_app(settings(**environ)))
        return apps[-1].test_client()

    yield front_end
    for app in apps:
        app.extensions["inference"].hub.stop()


@pytest.fixture
def client(front_end):
    return front_end()


@pytest.fixture
def cache(redis, monkeypatch):
    """As a worker has it, with some entries of two models; what it counted is told."""
    monkeypatch.setattr(cache_module, "FRESH_S", 0)
    metrics = ProcessMetrics()
    made = Cache(COMPRESSIONS, redis, most_bytes=10**6, count=cache_meter.count_in(metrics))
    for model in ("m", "n"):
        for name in "ab":
            made.store(name, b"a value", model)
    made.get("a", "m")
    made.get("c", "m")
    MetricsReporter(redis, metrics).report()
    return made


def listed(client):
    answer = client.get("/v1/caches")
    assert answer.status_code == 200, answer.text
    return {each["id"]: each for each in answer.json["data"]}


def test_caches_are_listed_with_what_all_processes_counted(client, cache):
    found = listed(client)
    assert {"compressions", "handoffs"} <= set(found)
    shown = found["compressions"]
    assert (shown["entries"], shown["hits"], shown["misses"], shown["evictions"]) == (4, 1, 1, 0)
    assert shown["bytes"] == cache.size().size_bytes
    assert (shown["ttl_s"], shown["limit_bytes"]) == (3600, 64 * 2**20)


def test_counts_are_unknown_where_nothing_is_counted(front_end, cache):
    client = front_end(INFERENCE_METRICS_ENABLED="false")
    assert listed(client)["compressions"]["hits"] is None


@pytest.mark.parametrize("address", ["/v1/caches", "/v1/caches/compressions"])
def test_caches_are_cleared_for_all_processes(client, cache, address):
    answer = client.delete(f"{address}?model=m").json["data"]
    assert {"id": "compressions", "object": "cache.cleared", "dropped": 2} in answer
    assert cache.get("a", "m") is None
    assert cache.get("a", "n") == b"a value"
    answer = client.delete(address).json["data"]
    assert {"id": "compressions", "object": "cache.cleared", "dropped": 2} in answer
    assert cache.get("a", "n") is None


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/v1/caches/semantics", 404, "compressions"),
        ("/v1/caches/" + "x" * 500, 404, "compressions"),
        ("/v1/caches?models=m", 422, "known: model"),
        ("/v1/caches?model=", 422, "is empty"),
    ],
)
def test_what_is_wrong_is_refused_by_name(client, cache, address, status, says):
    answer = client.delete(address)
    assert answer.status_code == status
    assert says in answer.json["error"]["message"]
    assert cache.size().entries == 4


@pytest.mark.usefixtures("cache")
def test_only_an_operators_key_sees_or_clears_them(client, settings):
    texts = {
        admin: key_file.add(settings().keys_file, str(admin), None, None, admin=admin)
        for admin in (False, True)
    }
    for ask, path in ((client.get, ""), (client.delete, ""), (client.delete, "/x")):
        headers = {"Authorization": f"Bearer {texts[False]}"}
        answer = ask(f"/v1/caches{path}", headers=headers)
        assert answer.json["error"]["code"] == "FORBIDDEN"
        assert ask(f"/v1/caches{path}").status_code == 401
    headers = {"Authorization": f"Bearer {texts[True]}"}
    assert len(client.get("/v1/caches", headers=headers).json["data"]) >= 2
    assert client.delete("/v1/caches", headers=headers).status_code == 200


def test_the_command_lists_and_clears(client, cache, monkeypatch):
    from click.testing import CliRunner

    from web.cli.commands import caches as command

    def request(method, path, *, admin, params=None):
        assert admin
        return client.open(path, method=method, query_string=params or {}).json

    monkeypatch.setattr(command, "request", request)
    run = CliRunner().invoke
    shown = run(command.caches, [])
    assert shown.exit_code == 0, shown.output
    assert "compressions" in shown.output
    assert json.loads(run(command.caches, ["--json"]).stdout)[0]["object"] == "cache"
    assert "2 entries" in run(command.caches, ["clear", "compressions", "--model", "m"]).output
    assert "compressions: 2 entries are forgotten." in run(command.caches, ["clear"]).output
