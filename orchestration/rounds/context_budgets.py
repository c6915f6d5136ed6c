"""How each model's context is divided now: by the catalogue, scaled to what its workers have."""

from __future__ import annotations

from presets.budgets import Budgets
from presets.catalogue import Catalogue
from workers.cluster.directory import Directory


class ContextBudgets:
    """Asked by a model's id."""

    def __init__(self, catalogue: Catalogue, directory: Directory) -> None:
        self._catalogue = catalogue
        self._directory = directory

    def __call__(self, model: str) -> Budgets:
        """The model's budgets, those of its smallest worker; the catalogue's where none is loaded.

        Raises:
            ModelNotFound: the catalogue has no such model.
            redis.RedisError: Redis is away.
        """
        budgets = self._catalogue.get(model).budgets
        loaded = [worker.context_length for worker in self._directory.of(model)]
        return budgets.scaled(min(filter(None, loaded), default=budgets.total))
