"""The catalogue of this installation: the models, as settings and tuning have them."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from presets.catalogue import Catalogue
from workers.settings import Settings

log = logging.getLogger(__name__)


def load(settings: Settings) -> Catalogue:
    """Every model that this installation could run."""
    return Catalogue.load(
        settings.models_dir,
        settings.backend,
        roles=settings.model_roles,
        formats=tuned_formats(settings),
        own=settings.catalogue_dir,
    )


def tuned_formats(settings: Settings) -> dict[str, str | None]:
    """The format that `inference-service tune` chose for each model; None: the file as it is."""
    file = _file(settings)
    try:
        choices = json.loads(file.read_text(encoding="utf-8"))
        return {str(model): choice["format"] for model, choice in choices.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s cannot be used, models keep their own formats: %s", file, error)
        return {}


def keep_format(settings: Settings, model_id: str, form: str | None) -> Path:
    """Use a format for a model from its next load on; returns the file that records it.

    Raises:
        OSError: the data directory cannot be written.
    """
    file = _file(settings)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    choices = {model: {"format": kept} for model, kept in tuned_formats(settings).items()}
    choices[model_id] = {"format": form}
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as writer:
        writer.write(json.dumps(choices, indent=2) + "\n")
    os.replace(fresh, file)
    return file


def _file(settings: Settings) -> Path:
    return settings.data_dir / "tuned.json"
