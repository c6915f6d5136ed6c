"""Celery tasks: thin names over plain functions."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task

from workers import generation
from workers.app import generate_task
from workers.contract.job import StepRequest
from workers.engines.base import Engine
from workers.generation import Loading
from workers.leases import Leases
from workers.token_log import TokenLog


def register_generate(
    app: Celery,
    model_id: str,
    engine: Engine,
    leases: Leases,
    token_log: TokenLog,
    loading: Loading,
) -> Task:
    """The task that runs one step of a job on this worker's model."""

    @app.task(name=generate_task(model_id))
    def generate(request: dict[str, Any]) -> None:
        generation.run(StepRequest.from_dict(request), engine, leases, token_log, loading)

    return generate
