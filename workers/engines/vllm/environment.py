"""What vLLM reads from the environment: here, and in the processes that it starts."""

from __future__ import annotations

import os

from workers.engines.base import EngineOptions
from workers.engines.vllm.error_file import ErrorFile


def prepare(options: EngineOptions) -> ErrorFile:
    """Set it up, before vLLM is imported. Returns the file of the errors of its processes."""
    _lead_group()
    # No usage statistics leave this machine.
    os.environ["VLLM_NO_USAGE_STATS"] = os.environ["DO_NOT_TRACK"] = "1"
    # A fork of a process with threads and an open Redis is no process to load a model in.
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    # Our logits processors have the interface of its first model runner. Where Triton is, vLLM
    # would take the second, which refuses them.
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    # They rename themselves, by writing over their environment: our entry in it must stay.
    os.environ["SPT_NOENV"] = "1"
    if options.threads is not None:
        # Without this, vLLM on a CPU binds a thread to every core but one.
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    errors = ErrorFile(options.cache_dir / "vllm")
    os.environ["VLLM_LOGGING_CONFIG_PATH"] = str(errors.config)
    return errors


def _lead_group() -> None:
    """Make this process the leader of its group, so that what vLLM starts can be ended with it.

    `up`, a shell and a container start it as one. Only here: whoever else supervises a worker may
    want to reach it by its own group.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
