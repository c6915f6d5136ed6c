"""What `models list` says where a service runs."""

import pytest

from presets.catalogue import Catalogue
from web.cli import model_rows
from workers.settings import read


def told(model_id, status, **more):
    """An entry of `/v1/models`."""
    entry = {"id": model_id, "status": status, "memory_mb": 300, "context_length": 64, "roles": []}
    return {model_id: {**entry, **more}}


SETTINGS = read({}, env_file=None)


@pytest.fixture
def entries(tmp_path):
    """The rows by id, for what a service says."""

    def make(**running):
        found = model_rows.rows(SETTINGS, Catalogue.load(tmp_path, "llamacpp"), running)
        return {entry["id"]: entry for entry in found}

    return make


def test_of_a_model_that_runs_the_service_knows_best(entries):
    found = entries(**told("smollm2-135m", "loaded"))
    assert next(iter(found)) == "smollm2-135m"  # first, with all that run
    one = found["smollm2-135m"]
    assert (one["status"], one["memory_mb"], one["context_length"]) == ("loaded", 300, 64)
    assert one["files"][0].endswith(".gguf")


def test_a_failure_is_told(entries):
    error = {"code": "MODEL_LOAD_FAILED", "message": "the file is missing"}
    found = entries(**told("phi-4", "failed", error=error))
    assert (found["phi-4"]["status"], found["phi-4"]["error"]) == ("failed", "the file is missing")


def test_of_one_that_nobody_runs_the_catalogue_says_whether_it_is_there(entries):
    found = entries(**told("smollm2-135m", "available"))
    assert (found["smollm2-135m"]["status"], found["smollm2-135m"]["memory_mb"]) == (
        "present",
        None,
    )


def test_a_model_that_only_the_service_has_is_listed(entries):
    found = entries(**told("theirs", "loaded"))
    assert (found["theirs"]["status"], found["theirs"]["files"]) == ("loaded", [])
    assert set(found["theirs"]) == set(found["phi-4"])
