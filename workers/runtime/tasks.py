"""Celery tasks: thin names over plain functions."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore

from workers.app import generate_task
from workers.contract.step import StepRequest
from workers.runtime import generation
from workers.runtime.generation import StepRunner


def register_generate(app: Celery, model_id: str, runner: StepRunner) -> Task:
    """The task that runs one step of a job on this worker's model."""

    @app.task(name=generate_task(model_id))
    def generate(request: dict[str, Any]) -> None:
        if not generation.run(StepRequest.from_dict(request), runner):
            raise Ignore  # what follows the step in a chain or chord is not to go on

    return generate
