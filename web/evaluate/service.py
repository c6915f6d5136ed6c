"""The service under evaluation, seen through its HTTP API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from presets.preset import Preset
from web.evaluate.asks import Ask
from web.evaluate.ledger import LedgerAnswer

#: What a service refuses for a moment is asked again for so long.
PATIENCE_S = 120.0
_PAUSE_S = 1.0
_TERMINAL = ("completed", "failed", "cancelled")


class Stopped(Exception):
    """The evaluation ends; jobs that were sent go on and are met again under their keys."""


class Miscast(Exception):
    """The service answered with other models than the preset names; the message says how."""


class ServiceUnderTest:
    """Asks a running service. `ask` may be called from several threads."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._stop = threading.Event()

    def stop(self) -> None:
        """Let every `ask` that is under way end with `Stopped`, within seconds."""
        self._stop.set()

    def obstacle(self, preset: Preset) -> str | None:
        """Why a preset cannot run on this service as it is; None where it can.

        Raises:
            httpx.HTTPError: the service does not answer, or refuses.
        """
        models = self._client.get("/v1/models")
        models.raise_for_status()
        status = {entry["id"]: entry["status"] for entry in models.json()["data"]}
        missing = [model for model in preset.models if status.get(model) != "loaded"]
        if not missing:
            return None
        said = ", ".join(f"{model} is {status.get(model, 'not there')}" for model in missing)
        if all(status.get(model) == "loading" for model in missing):
            return f"{said}; try again in a moment"
        return f"{said}. Start it with: inference-service up --preset {preset.id}"

    def ask(self, ask: Ask, key: str, preset: Preset | None = None) -> LedgerAnswer:
        """Submit a job, wait for its end and read its answer.

        Raises:
            Stopped: the evaluation ends.
            Miscast: it was answered by others than the preset names.
            httpx.HTTPStatusError: the service refuses it for good.
            httpx.HTTPError: the service went away.
        """
        began = time.monotonic()
        taken = self._submit(ask, key)
        job_id = taken.json()["id"]
        while not self._watch(job_id):
            pass
        took_s = time.monotonic() - began
        ended = self._client.get(f"/v1/jobs/{job_id}")
        ended.raise_for_status()
        watched = "Idempotent-Replayed" not in taken.headers
        job = ended.json()
        if preset is not None:
            _check_cast(job["steps"], preset)
        return _answer(ask, job, took_s if watched else None)

    def _submit(self, ask: Ask, key: str) -> httpx.Response:
        until = time.monotonic() + PATIENCE_S
        while True:
            if self._stop.is_set():
                raise Stopped
            response = self._client.post(
                "/v1/jobs", json=ask.body, headers={"Idempotency-Key": key}
            )
            if response.status_code not in (429, 503) or time.monotonic() > until:
                response.raise_for_status()
                return response
            self._stop.wait(_retry_after_s(response))

    def _watch(self, job_id: str) -> bool:
        """Wait for the job's end; False where the connection broke before it."""
        with self._client.stream("GET", f"/v1/jobs/{job_id}/events") as events:
            if events.status_code == 503:
                self._stop.wait(_retry_after_s(events))
                return False
            events.raise_for_status()
            for line in events.iter_lines():
                if self._stop.is_set():
                    raise Stopped
                if line.startswith("data: ") and json.loads(line[6:])["type"] in _TERMINAL:
                    return True
        return False


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("Retry-After", _PAUSE_S))
    except ValueError:
        return _PAUSE_S


def _check_cast(steps: list[Mapping[str, Any]], preset: Preset) -> None:
    """What ran is what counts: a service casts by its own preset, not by the one that is meant."""
    named = {stage.stage: set[str]() for stage in preset.stages}
    for stage in preset.stages:
        named[stage.stage].add(stage.model)
    for part in ("generator", "critic", "reconciler", "synthesiser"):
        if model := getattr(preset, part):
            named[part] = {model}
    for step in steps:
        allowed = named.get(step["part"], set(preset.models))
        if step["model"] not in allowed:
            raise Miscast(
                f"the service gives the part of {step['part']} to {step['model']} and not to "
                f"{' or '.join(sorted(allowed))}. Start it with: "
                f"inference-service up --preset {preset.id}"
            )


def _answer(ask: Ask, job: Mapping[str, Any], latency_s: float | None) -> LedgerAnswer:
    usages = [step["usage"] for step in job["steps"] if "usage" in step]
    tokens = {
        name: sum(usage[name] for usage in usages)
        for name in ("prompt_tokens", "completion_tokens")
    }
    error = None
    text, finish_reason = "", job["state"]
    if job["state"] == "completed":
        choice = job["result"]["choices"][0]
        text, finish_reason = choice["message"]["content"], choice["finish_reason"]
    else:
        failure = job.get("error") or {"code": job["state"], "message": job.get("reason", "")}
        error = (failure["code"], failure["message"])
    return LedgerAnswer(
        asked=ask.digest,
        job=job["id"],
        text=text,
        latency_s=None if latency_s is None else round(latency_s, 3),
        steps=len(usages),
        finish_reason=finish_reason,
        error=error,
        **tokens,
    )
