"""What `deploy/` says, read as its programs read it, for tests that hold it to the code."""

import re
from pathlib import Path

import click
import yaml

from presets.catalogue import Catalogue
from web.cli.main import cli

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
#: The catalogue that ships.
CATALOGUE = Catalogue.load(None, "llamacpp")


def files():
    """Every file of `deploy/` that a person wrote, but dashboards."""
    return sorted(
        path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".json"
    )  # fmt: skip


def read_yaml(name):
    """A file of one YAML document."""
    return yaml.safe_load((DEPLOY / name).read_text())


def environment(name):
    """A file of lines NAME=value."""
    lines = (DEPLOY / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def check_command(words, *, model=None):
    """Fail where `inference-service WORDS` is no command of its, or names a model that is none.

    `model` is what `$(MODEL)` and systemd's `%i` stand for.
    """
    words = [model if word in ("$(MODEL)", "%i") else word for word in words]
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, words
    context = click.Context(command)
    command.parse_args(context, list(words[1:]))
    if words[0] in ("worker", "pull") and (named := context.params.get("model")):
        assert CATALOGUE.has(named), words


def variables(text):
    """The settings that a text names."""
    return set(re.findall(r"(?<![A-Z_])(?:INFERENCE|OTEL)_[A-Z_]*[A-Z]", text))
