from types import SimpleNamespace

import pytest

from orchestration import routing
from presets.catalogue import Catalogue
from presets.model import ModelSpec
from workers.contract.errors import (
    InsufficientMemory,
    ModelLoadFailed,
    ModelLoading,
    ModelNotFound,
    NoWorker,
)
from workers.presence import Worker, WorkerStatus

PHI = ModelSpec("phi-4", None, 4096)


def worker(status, **changes):
    return Worker("w", "phi-4", 1, "h", 1, status=status, **changes)


def directory(*workers):
    return SimpleNamespace(workers=lambda: workers)


@pytest.mark.parametrize("name", ["phi-4", "inference:phi-4", "local:phi-4"])
def test_a_gateways_prefix_is_taken_off(name):
    assert routing.resolve(name, Catalogue([PHI])) is PHI


def test_an_unknown_model_gets_the_nearest():
    with pytest.raises(ModelNotFound, match="Did you mean 'phi-4'") as caught:
        routing.resolve("phi4", Catalogue([PHI]))

    assert caught.value.details["suggestion"] == "phi-4"


def test_one_loaded_worker_is_enough():
    routing.require_worker(PHI, directory(worker(WorkerStatus.FAILED), worker(WorkerStatus.LOADED)))


@pytest.mark.parametrize(
    ("workers", "error", "says"),
    [
        ((), NoWorker, "inference-service worker phi-4"),
        ((Worker("o", None, 1, "h", 4, status=WorkerStatus.LOADED),), NoWorker, "phi-4"),
        ((worker(WorkerStatus.UNLOADING),), NoWorker, "phi-4"),
        ((worker(WorkerStatus.LOADING, progress=0.4),), ModelLoading, "40%"),
        (
            (worker(WorkerStatus.FAILED, error=ModelLoadFailed("not a GGUF").to_dict()),),
            ModelLoadFailed,
            "not a GGUF",
        ),
        (
            (worker(WorkerStatus.FAILED, error=InsufficientMemory("9 of 4 GB").to_dict()),),
            InsufficientMemory,
            "9 of 4 GB",
        ),
    ],
)
def test_a_request_nobody_would_take_is_refused(workers, error, says):
    with pytest.raises(error, match=says):
        routing.require_worker(PHI, directory(*workers))
