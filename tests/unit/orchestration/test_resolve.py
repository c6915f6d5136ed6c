import contextlib

import pytest

from orchestration.routing import resolve
from presets.catalogue import Catalogue
from presets.model import ModelSpec
from tests.support.fixed_directory import FixedDirectory
from workers.cluster.orders import Order, Target, Why
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract.errors import (
    InsufficientMemory,
    ModelLoadFailed,
    ModelLoading,
    ModelNotFound,
    NoWorker,
)

PHI = ModelSpec("phi-4", None, 4096)


def worker(status, **changes):
    return Worker("w", "phi-4", 1, "h", 1, status=status, **changes)


def order(target, error=None):
    return Order("phi-4", target, Why.ASKED, 1, error=error and error.to_dict())


LOADED = worker(WorkerStatus.LOADED)
BROKEN = order(Target.UNLOADED, ModelLoadFailed("not a GGUF"))
TOO_BIG = order(Target.UNLOADED, InsufficientMemory("9 of 4 GB"))


@pytest.mark.parametrize(
    "name", ["phi-4", "inference:phi-4", "local:phi-4", "local:inference:phi-4"]
)
def test_a_gateways_prefix_is_taken_off(name):
    assert resolve.resolve(name, Catalogue([PHI])) is PHI


def test_an_unknown_model_gets_the_nearest():
    with pytest.raises(ModelNotFound, match="Did you mean 'phi-4'") as caught:
        resolve.resolve("phi4", Catalogue([PHI]))

    assert caught.value.details["suggestion"] == "phi-4"


def test_one_loaded_worker_is_enough():
    resolve.require_worker(PHI, FixedDirectory(worker(WorkerStatus.FAILED), LOADED))


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
        resolve.require_worker(PHI, FixedDirectory(*workers))


@pytest.mark.parametrize(
    ("known", "on_demand", "error", "says"),
    [
        (
            FixedDirectory(supervised=True, kept=True),
            False,
            NoWorker,
            "inference-service load phi-4",
        ),
        (FixedDirectory(supervised=True), False, NoWorker, "inference-service worker phi-4"),
        (FixedDirectory(kept=True), True, NoWorker, "inference-service worker phi-4"),
        (FixedDirectory(supervised=True, kept=True), True, None, ""),
        (FixedDirectory(autoscaled=True, kept=True), True, None, ""),
        (FixedDirectory(worker(WorkerStatus.UNLOADED), kept=True), True, None, ""),
        (FixedDirectory(worker(WorkerStatus.LOADING), kept=True), True, None, ""),
        (FixedDirectory(LOADED, kept=True), True, None, ""),
        # Ordered, and its process is being started.
        (
            FixedDirectory(orders=[order(Target.LOADED)], supervised=True, kept=True),
            False,
            ModelLoading,
            "0%",
        ),
        (
            FixedDirectory(
                worker(WorkerStatus.LOADING), orders=[order(Target.UNLOADED)], kept=True
            ),
            False,
            NoWorker,
            "inference-service load",
        ),
        (
            FixedDirectory(orders=[BROKEN], supervised=True, kept=True),
            True,
            ModelLoadFailed,
            "not a GGUF",
        ),
        (
            FixedDirectory(orders=[BROKEN], supervised=True, kept=True),
            False,
            ModelLoadFailed,
            "not a GGUF",
        ),
        (
            FixedDirectory(orders=[TOO_BIG], supervised=True, kept=True),
            False,
            InsufficientMemory,
            "9 of 4",
        ),
        # Memory may be free by now; a broken file is broken.
        (FixedDirectory(orders=[TOO_BIG], supervised=True, kept=True), True, None, ""),
    ],
)
def test_a_model_that_is_not_loaded(known, on_demand, error, says):
    with pytest.raises(error, match=says) if error else contextlib.nullcontext():
        resolve.require_worker(PHI, known, on_demand=on_demand)


@pytest.mark.parametrize("workers", [(), (worker(WorkerStatus.LOADING),)])
def test_a_worker_that_fell_silent_a_moment_ago_is_waited_for(workers):
    resolve.require_worker(PHI, FixedDirectory(*workers, served=["phi-4"]))


def test_a_model_that_is_not_to_be_loaded_is_not_waited_for():
    directory = FixedDirectory(orders=[order(Target.UNLOADED)], served=["phi-4"])
    with pytest.raises(NoWorker):
        resolve.require_worker(PHI, directory)


def test_what_could_not_be_loaded_again_says_so():
    failed = worker(WorkerStatus.FAILED, error=ModelLoadFailed("not a GGUF").to_dict())
    with pytest.raises(ModelLoadFailed, match="not a GGUF"):
        resolve.require_worker(PHI, FixedDirectory(failed, served=["phi-4"]))
