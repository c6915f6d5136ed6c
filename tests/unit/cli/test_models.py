"""What `models list` says where a service runs."""

import pytest

from presets.catalogue import Catalogue
from web.cli import model_rows
from workers.settings import read


def running_model(model_id, status, **more):
    """An entry of `/v1/models`."""
    entry = {"id": model_id, "status": status, "memory_mb": 300, "context_length": 64, "roles": []}
    return {model_id: {**entry, **more}}


SETTINGS = read({}, env_file=None)


@pytest.fixture
def entries(tmp_path):
    """The rows by id, for what a service says."""

    def make(**running):
        by_id = model_rows.rows(SETTINGS, Catalogue.load(tmp_path, "llamacpp"), running)
        return {entry["id"]: entry for entry in by_id}

    return make


def test_of_a_model_that_runs_the_service_knows_best(entries):
    by_id = entries(**running_model("smollm2-135m", "loaded"))
    assert next(iter(by_id)) == "smollm2-135m"  # first, with all that run
    row = by_id["smollm2-135m"]
    assert (row["status"], row["memory_mb"], row["context_length"]) == ("loaded", 300, 64)
    assert row["files"][0].endswith(".gguf")


def test_a_failure_is_told(entries):
    error = {"code": "MODEL_LOAD_FAILED", "message": "the file is missing"}
    by_id = entries(**running_model("phi-4", "failed", error=error))
    assert (by_id["phi-4"]["status"], by_id["phi-4"]["error"]) == ("failed", "the file is missing")


def test_of_one_that_nobody_runs_the_catalogue_says_whether_it_is_there(entries):
    by_id = entries(**running_model("smollm2-135m", "available"))
    assert (by_id["smollm2-135m"]["status"], by_id["smollm2-135m"]["memory_mb"]) == (
        "present",
        None,
    )


def test_a_model_that_only_the_service_has_is_listed(entries):
    by_id = entries(**running_model("theirs", "loaded"))
    assert (by_id["theirs"]["status"], by_id["theirs"]["files"]) == ("loaded", [])
    assert set(by_id["theirs"]) == set(by_id["phi-4"])
