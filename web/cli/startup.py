"""How every command begins: settings and catalogue, or a line that says what is wrong with them."""

from __future__ import annotations

import os
import sys

import click

from orchestration.modes import registry
from presets.catalogue import Catalogue, UnknownPreset
from presets.schema import CatalogueError
from workers import settings as settings_
from workers.cluster.supervision import is_supervised
from workers.planning import catalogue as catalogue_
from workers.settings import Settings, SettingsError
from workers.store import data_directory


def load_settings() -> Settings:
    """The effective settings; a bad one ends the process with status 2 and names it."""
    try:
        settings = settings_.read()
        registry.check_settings(settings)
    except SettingsError as error:
        click.echo(f"inference-service cannot start:\n{error}", err=True)
        sys.exit(2)
    return settings


def prepare_data_directory(settings: Settings) -> None:
    """Make, check and close the data directory to others; a bad one ends the process with status 2.

    For a process that `up` started, `up` has done it: what fills the disk later ends nobody.
    """
    if is_supervised():
        return
    try:
        data_directory.prepare(settings.data_dir)
    except data_directory.Unusable as unusable:
        click.echo(f"inference-service cannot start: {unusable}", err=True)
        sys.exit(2)


def load_catalogue(settings: Settings) -> Catalogue:
    """The catalogue; a file of it that is wrong ends the process with status 2 and is named."""
    try:
        catalogue = catalogue_.load(settings)
        catalogue.wanted(settings.preload_models, settings.config)
        registry.check_presets(catalogue)
    except (CatalogueError, UnknownPreset) as error:
        click.echo(f"inference-service cannot start: {error}", err=True)
        sys.exit(2)
    return catalogue


def warn(settings: Settings) -> None:
    """Print the warnings about settings that are valid and may be a mistake."""
    for warning in settings_.warnings(settings, os.environ):
        click.echo(f"warning: {warning}", err=True)
