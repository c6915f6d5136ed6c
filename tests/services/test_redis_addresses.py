"""The whole service at a Redis of one's own: jobs of several models, whatever the address."""

import pytest

from tests.modes.conftest import WIDE, up
from tests.support.jobs import ask, content
from tests.support.redis_addresses import address, servers
from tests.support.service import Service


@pytest.fixture(scope="module")
def started():
    with servers() as started:
        yield started


@pytest.mark.parametrize("kind", ["tls", "socket", "tcp, database as option", "sentinel, tls"])
def test_models_answer_together_in_one_database(kind, started, tmp_path):
    url, database = address(started, kind)
    with started.server.client() as whole:
        whole.flushall()
    script = {
        "steps": {
            **{f"member-{number}": {"text": "4"} for number in (1, 2)},
            "member-3": {"text": "5"},
            "answer": {"text": "the synthesis of it"},
        }
    }
    environment = {**WIDE, "INFERENCE_REDIS_URL": url}
    with Service(tmp_path, command=up("demo-ensemble"), **environment) as service:
        assert content(ask(service, script)) == "the synthesis of it"
        with started.server.client() as whole:
            assert set(whole.info("keyspace")) == {f"db{database}"}
        assert "p%40" not in service.logs()
        assert "p@/#" not in service.logs()
