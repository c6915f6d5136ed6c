"""Where a worker loads its model: its part of the plan of all, beside what others took."""

import dataclasses
import os
import socket

import pytest

from presets.memory.devices import Device
from presets.memory.machine import Machine
from tests.support.gguf import head, u32
from workers.cluster.presence import Worker, WorkerStatus
from workers.contract.errors import InsufficientMemory, ModelLoadFailed
from workers.planning import catalogue, memory_plan
from workers.runtime import engine_loading
from workers.settings import read

MB, GB = 2**20, 2**30
#: 32 KiB for a token: 8 layers of 8 heads of 128, in f16; and 1 KiB of the mask.
HEAD = head(
    u32("llama.block_count", 8),
    u32("llama.attention.head_count", 8),
    u32("llama.embedding_length", 1024),
    u32("llama.context_length", 65536),
)


@pytest.fixture
def machine(monkeypatch):
    """The machine that is planned on: a GB of RAM and no device, until a test says otherwise."""

    def use(ram, *devices, total=None):
        fake_machine = Machine(total or ram, ram, devices)
        monkeypatch.setattr(memory_plan.machine, "read", lambda: fake_machine)
        monkeypatch.setattr(
            memory_plan.machine,
            "can_offload",
            lambda on, backend: bool(on.devices) and backend.uses_devices,
        )

    use(GB)
    return use


@pytest.fixture
def settings(tmp_path, machine):
    """A service with models a, b and c of 128 MB each; call it with what else is set."""
    for name in ("a", "b", "c"):
        (tmp_path / "models" / name).mkdir(parents=True)
        with (tmp_path / "models" / name / "w.gguf").open("wb") as file:
            file.write(HEAD)
            file.truncate(128 * MB)

    def make(preload="a,b", **environ):
        return read(
            {
                "INFERENCE_DATA_DIR": str(tmp_path / "data"),
                "INFERENCE_MODELS_DIR": str(tmp_path / "models"),
                "INFERENCE_PRELOAD_MODELS": preload,
                **environ,
            },
            env_file=None,
        )

    return make


def worker(model, memory=0, *, status=WorkerStatus.LOADED, **changes):
    """Another worker of this machine; its process is one that surely lives."""
    defaults = {"id": model, "pid": os.getppid(), "host": socket.gethostname(), "concurrency": 1}
    return Worker(model=model, status=status, memory_bytes=memory, **{**defaults, **changes})


def place(settings, model, *workers, **options):
    known = catalogue.load(settings)
    return memory_plan.place(settings, known, known.get(model), workers, **options)


def test_the_first_to_load_leaves_the_others_part_of_the_pools(settings):
    first = place(settings(), "a")
    assert 2048 < first.kv_tokens < 65536
    beside = place(settings(), "b", worker("a", first.planned_bytes))
    assert beside.kv_tokens == pytest.approx(first.kv_tokens, rel=0.1)
    alone = place(settings(preload="a"), "a")
    assert alone.kv_tokens > 1.5 * first.kv_tokens


def test_a_model_beside_others_takes_no_more_than_is_free(settings, machine):
    machine(500 * MB, total=GB)
    beside = place(settings(), "b", worker("a", 900 * MB, pid=2**22 + 1))  # that process is gone
    assert beside.planned_bytes <= 500 * MB


def test_models_that_do_not_fit_together_are_loaded_as_long_as_they_fit(settings, machine):
    machine(500 * MB)
    assert place(settings(preload="a,b,c"), "c").fits
    with pytest.raises(InsufficientMemory) as refused:
        place(settings(preload="a,b,c"), "c", worker("a", 200 * MB), worker("b", 200 * MB))
    assert "c needs 298 MB: weights 128, the least KV pool of 2048 tokens" in str(refused.value)
    assert refused.value.details == {"model": "c", "needed_mb": 298, "available_mb": 68}


def test_what_fails_to_load_or_is_elsewhere_takes_nothing(settings, machine):
    machine(500 * MB)
    elsewhere = worker("b", 400 * MB, host="another")
    assert place(settings(), "a", elsewhere).fits
    waiting = worker("b", status=WorkerStatus.LOADING)
    assert place(settings(preload="a"), "a", waiting).fits


def test_force_and_a_missing_file_go_on_to_the_engine(settings, machine):
    machine(100 * MB)
    assert place(settings(), "a", force=True).kv_tokens == 2048
    missing = settings(preload="phi-4")
    assert place(missing, "phi-4").kv_tokens == 2048


def test_models_share_devices_and_stay_where_the_plan_has_them(settings, machine):
    two = (Device(0, 2 * GB, 2 * GB), Device(1, 2 * GB, 2 * GB))
    machine(8 * GB, *two)
    a, b = place(settings(), "a"), place(settings(), "b")
    assert {a.devices, b.devices} == {(0,), (1,)}
    used = (Device(0, 2 * GB, 100 * MB), two[1])
    machine(8 * GB, *used)
    beside = place(settings(), "b", worker("a", a.planned_bytes, devices=a.devices))
    assert beside.devices == (1,)


def test_a_device_that_is_not_there_or_cannot_be_used_is_told(settings, machine, monkeypatch):
    known = catalogue.load(settings())
    on_1 = dataclasses.replace(known.get("a"), devices=(1,))
    with pytest.raises(ModelLoadFailed, match="device 1, which is not there; there is: none"):
        memory_plan.place(settings(), known, on_1, (), force=True)
    machine(8 * GB, Device(0, 2 * GB, 2 * GB), Device(1, 2 * GB, 2 * GB))
    assert memory_plan.place(settings(), known, on_1, ()).devices == (1,)
    monkeypatch.setattr(memory_plan.machine, "can_offload", lambda _on, _backend: False)
    with pytest.raises(ModelLoadFailed, match="built for the CPU alone"):
        memory_plan.place(settings(), known, on_1, ())


def test_the_engine_is_told_its_place_and_sees_no_other_device(settings, machine, monkeypatch):
    monkeypatch.setattr(engine_loading.os, "environ", {})
    machine(8 * GB, Device(0, 2 * GB, 2 * GB), Device(1, 2 * GB, 2 * GB))
    spec = catalogue.load(settings()).get("a")
    placed = place(settings(), "b")
    options = engine_loading.engine_options(settings(), spec, placed)
    assert (options.devices, options.gpu_layers) == ((1,), -1)
    assert options.kv_tokens == placed.kv_tokens
    assert engine_loading.os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    machine(8 * GB, Device(0, 2 * GB, 0))
    options = engine_loading.engine_options(settings(), spec, place(settings(), "b"))
    assert (options.devices, options.gpu_layers) == ((), 0)
    assert engine_loading.os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_no_layers_on_the_gpu_means_the_ram(settings, machine):
    machine(8 * GB, Device(0, 2 * GB, 2 * GB))
    assert place(settings(), "a").devices == (0,)
    assert place(settings(INFERENCE_GPU_LAYERS="0"), "a").devices == ()
    some = place(settings(INFERENCE_GPU_LAYERS="3"), "a")
    assert (some.demand.device_share, some.devices) == (pytest.approx(3 / 9), (0,))


def test_vllm_takes_a_device_and_no_ram_instead(settings, machine, tmp_path):
    own = tmp_path / "own" / "models"
    own.mkdir(parents=True)
    (own / "v.yaml").write_text("id: v\nbackend: vllm\nsize_gb: 0.3\ncontext_length: 4096\n")
    chosen = settings(INFERENCE_CATALOGUE_DIR=str(own.parent))
    machine(8 * GB, Device(0, 4 * GB, 4 * GB))
    assert place(chosen, "v").devices == (0,)
    machine(8 * GB, Device(0, 4 * GB, GB))
    with pytest.raises(InsufficientMemory):
        place(chosen, "v")


def test_needed_and_free_bytes_of_a_model(settings, machine):
    machine(2 * GB)
    spec = catalogue.load(settings()).get("a")
    needed = memory_plan.needed_bytes(settings(), spec)
    assert needed == place(settings(), "a").demand.footprint.least_bytes
    free = memory_plan.free_bytes(settings(), spec, [])
    assert free == 2 * GB * 15 // 16
    assert free - memory_plan.free_bytes(settings(), spec, [worker("b", GB)]) == GB


def test_presets_of_a_mode_that_fit_are_named_largest_first(settings, machine):
    machine(8 * GB)
    known = catalogue.load(settings())
    fitting_presets = memory_plan.fitting(settings(), known, "single", memory_plan.at_hand())
    assert [preset.id for preset in fitting_presets] == ["S6", "S2", "S3", "S4", "demo-single"]
