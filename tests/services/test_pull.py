"""From an empty models directory to answers: models that are pulled, added, and missing."""

import os
import signal
import subprocess
import sys

import pytest

from presets.catalogue import SHIPPED, Catalogue
from tests.support.hub import StandInHub
from tests.support.service import ROOT, Service
from tests.support.waiting import wait_for

PULLED, ADDED, MISSING = "phi-4", "mine", "llama-3.2-3b"
#: Where the first try is stopped, and what has been written by then: the client writes 10 MiB at a
#: time.
HELD_AT, WRITTEN = 45_000_000, 40 * 2**20


@pytest.fixture
def shipped():
    """The file of the shipped model, which stands for all others here."""
    return Catalogue.load(None, "llamacpp").get(SHIPPED).path


@pytest.fixture
def service(tmp_path, shipped):
    """Not started yet; its hub has one model, in a repository of the catalogue's name."""
    (tmp_path / "models").mkdir()
    (tmp_path / "own").mkdir()
    source = Catalogue.load(None, "llamacpp").get(PULLED).gguf
    with StandInHub() as hub:
        hub.repos[source.repo] = {source.file: shipped.read_bytes()}
        environment = {
            "HF_ENDPOINT": hub.endpoint,
            "INFERENCE_MODELS_DIR": str(tmp_path / "models"),
            "INFERENCE_CATALOGUE_DIR": str(tmp_path / "own"),
            "INFERENCE_PRELOAD_MODELS": f"{PULLED},{ADDED},{MISSING}",
        }
        made = Service(tmp_path / "data", **environment)
        made.hub = hub
        yield made


def test_models_are_pulled_and_added_and_answer(service, shipped, tmp_path):
    pull_stopped_half_way(service, tmp_path / "models" / PULLED)
    pulled = service.run("pull", PULLED)
    assert pulled.returncode == 0, pulled.stderr
    assert "continuing after 0.04 GB" in pulled.stdout
    assert service.hub.sent(f"{PULLED}-Q4_K_S.gguf") == [None, f"bytes={WRITTEN}-"]

    added = service.run("models", "add", str(shipped), "--id", ADDED)
    assert added.returncode == 0, added.stderr

    service.start()
    try:
        readiness = wait_for(
            lambda: (
                (readiness := service.readiness())
                and readiness[1].get("progress") == "2/3"
                and "could not be loaded" in readiness[1]["reason"]
                and readiness
            ),
            60,
        )
        # Of the third it is said where its file was looked for, and how to get it.
        for said in (readiness[1]["reason"], (service.data_dir / "up.log").read_text()):
            assert f"is not in {tmp_path / 'models' / MISSING}" in said
            assert f"inference-service pull {MISSING}" in said
        # `up` says that the others answer, with one of them in its example.
        log = service.data_dir / "up.log"
        wait_for(lambda: f"ready: {service.url}" in log.read_text(), 10)
        said = log.read_text()
        assert f"warning: {MISSING} is not served: " in said
        assert f'"model": "{PULLED}"' in said
        for model in (PULLED, ADDED):
            answer = service.post({**service.ask(max_tokens=4), "model": model})
            assert answer.status_code == 200, answer.text
        listed = service.run("models", "list").stdout.splitlines()
        statuses = {line.split()[0]: line.split()[1] for line in listed}
        assert [statuses[m] for m in (PULLED, ADDED, MISSING)] == ["loaded", "loaded", "failed"]
    finally:
        service.stop()


def pull_stopped_half_way(service, directory):
    """Start a pull and press Ctrl-C in the middle of it."""
    service.hub.held_at = HELD_AT
    pulling = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "pull", PULLED],
        cwd=ROOT,
        env=service.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: sum(p.stat().st_size for p in directory.glob(".*.part")) >= WRITTEN, 60)
    finally:
        os.kill(pulling.pid, signal.SIGINT)
        _, printed = pulling.communicate(timeout=30)
    assert pulling.returncode == 130
    assert (
        printed == "inference-service pull: The download stopped. The same command continues it.\n"
    )
    service.hub.held_at = None
    service.hub.release.set()
