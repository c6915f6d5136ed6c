"""Which model answers a request that names none: chosen by role, among those that are loaded."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from orchestration import estimate
from orchestration.routing import roles, strategies
from orchestration.routing.resolve import AUTO, bare, configured, kind_for
from orchestration.routing.roles import ANY, ROLES_FOR_ROLE, ROLES_OF, ranked, role_taken
from orchestration.routing.strategies import Choice
from presets.catalogue import Catalogue
from presets.kind import Kind
from presets.model import ModelSpec
from workers.cluster.directory import Directory
from workers.cluster.presence import WorkerStatus
from workers.contract.errors import ModelNotFound, NoWorker
from workers.contract.job import Job
from workers.settings import Settings
from workers.store.routing_state import RoutingState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """The model that was chosen for a request, and why."""

    model: str
    #: What the request said instead of a model: `auto` or a role.
    requested: str
    #: As INFERENCE_AUTO_ROUTE_STRATEGY.
    strategy: str
    #: In words, for people.
    reason: str

    def to_dict(self) -> dict[str, str]:
        """A JSON-ready dict."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class _RoleRequest:
    """The roles that a request asks for in turn, and by what it asks for them."""

    roles: tuple[str, ...]
    asked_by: str


class Router:
    """Chooses models; one per front end, turns and queued tokens are those of all."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, directory: Directory, state: RoutingState
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._directory = directory
        self._state = state

    def route(self, job: Job) -> Route | None:
        """The model for a job; None where it names one, by whatever name.

        The model may not be loaded where no fitting one is: `routing.require_worker` says so.

        Raises:
            ModelNotFound: it asks to be routed, and INFERENCE_AUTO_ROUTE_ENABLED is false.
            NoWorker: no model that is loaded or wanted has one of the roles.
            redis.RedisError: Redis is away.
        """
        name = bare(job.model)
        if self._catalogue.has(name) or (name != AUTO and name not in ROLES_FOR_ROLE):
            return None
        if job.encoder_request is not None:
            raise _not_routed(name, kind_for(job))
        if not self._settings.auto_route_enabled:
            raise ModelNotFound(
                f"There is no model {name!r}: it is routed by role only with "
                "INFERENCE_AUTO_ROUTE_ENABLED=true. Name a model; GET /v1/models lists them.",
                details={
                    "model": name,
                    "param": "model",
                    "setting": "INFERENCE_AUTO_ROUTE_ENABLED",
                },
            )
        wanted = _role_request(name, job.task_type)
        spec, why = self._choose(wanted, job)
        strategy = self._settings.auto_route_strategy
        route = Route(spec.id, name, strategy, f"{wanted.asked_by}: {_role(spec, wanted)}, {why}")
        log.info("routed to %s: %s", route.model, route.reason)
        return route

    def _choose(self, wanted: _RoleRequest, job: Job) -> Choice:
        contexts = self._contexts()
        models = self._candidates(wanted, contexts)
        if self._settings.auto_route_strategy == "capability_match":
            needed = estimate.tokens_of_job(job)
            return strategies.capability_match(models, contexts, needed)
        first = models[0]
        if first.id not in contexts:
            return first, "not loaded"
        role = role_taken(first, wanted.roles)
        equals = [
            spec
            for spec in models
            if spec.id in contexts and role_taken(spec, wanted.roles) == role
        ]
        if len(equals) == 1:
            return first, "the only one loaded"
        if self._settings.auto_route_strategy == "round_robin":
            return strategies.round_robin(equals, self._state.turn(role or ANY))
        queued_tokens = self._state.queued_tokens([spec.id for spec in equals])
        return strategies.least_busy(equals, queued_tokens)

    def _candidates(
        self, wanted: _RoleRequest, contexts: Mapping[str, int]
    ) -> tuple[ModelSpec, ...]:
        """The models with the roles, in order, at least one: those that are loaded.

        Where none is, or no other may take the first one's place, those that should be.
        """
        loaded = ranked(self._specs(contexts), wanted.roles)
        if loaded and self._settings.auto_route_fallback:
            return loaded
        expected = configured(self._settings, self._catalogue, self._directory)
        models = ranked(self._specs({spec.id for spec in expected}), wanted.roles)
        if not models:
            raise _no_model(wanted)
        if not self._settings.auto_route_fallback:
            return models
        return tuple(sorted(models, key=lambda spec: not self._is_loading(spec.id)))

    def _specs(self, ids: Mapping[str, int] | set[str]) -> list[ModelSpec]:
        return [spec for spec in self._catalogue.all() if spec.id in ids and spec.kind.writes]

    def _contexts(self) -> dict[str, int]:
        """Models that are loaded, with the shortest context that a worker of theirs has."""
        contexts: dict[str, int] = {}
        for worker in self._directory.all_serving():
            if worker.model:
                shortest = contexts.get(worker.model, worker.context_length)
                contexts[worker.model] = min(shortest, worker.context_length)
        return contexts

    def _is_loading(self, model: str) -> bool:
        return any(worker.status is WorkerStatus.LOADING for worker in self._directory.of(model))


def _role_request(name: str, task_type: str | None) -> _RoleRequest:
    """A role's name says more than a task type, and that more than nothing."""
    if name in ROLES_FOR_ROLE:
        return _RoleRequest(ROLES_FOR_ROLE[name], f"model {name}")
    if task_type is None:
        return _RoleRequest(roles.DEFAULT, "no task_type")
    unknown = "" if task_type in ROLES_OF else "unknown "
    return _RoleRequest(roles.roles_for(task_type), f"{unknown}task_type {task_type}")


def _not_routed(name: str, kind: Kind) -> ModelNotFound:
    return ModelNotFound(
        f"{name!r} is no model of the kind {kind.value}, and none is chosen for such a request: "
        "vectors and scores of different models do not compare. Name one of GET /v1/models whose "
        f"capabilities have {kind.value}.",
        details={"model": name, "param": "model"},
    )


def _no_model(wanted: _RoleRequest) -> NoWorker:
    if ANY in wanted.roles:
        return NoWorker(
            "No model is loaded, nor to be. Start one with: inference-service worker MODEL"
        )
    return NoWorker(
        f"No model that is loaded or to be has the role {' or '.join(wanted.roles)}, which "
        f"{wanted.asked_by} asks for. Start one that has, give one the role with "
        "INFERENCE_MODEL_ROLES, or name a model.",
        details={"roles": list(wanted.roles)},
    )


def _role(spec: ModelSpec, wanted: _RoleRequest) -> str:
    role = role_taken(spec, wanted.roles)
    return "any role" if role == ANY else f"role {role}"
