"""Commands are found by their modules, and imported when they are asked for."""

import importlib
import json
import pkgutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from web.cli import commands
from web.cli.main import cli

MODULES = [module.name for module in pkgutil.iter_modules(commands.__path__)]
#: What a command needs only when it runs.
HEAVY = ("celery", "flask", "gunicorn", "kombu", "redis")
LOADED = """
import json, sys
from web.cli.main import cli
cli({arguments}, standalone_mode=False)
print("\\n" + json.dumps(sorted(sys.modules)))
"""


def test_a_command_is_one_new_file(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(
        '''"""A command of a test's own."""

import click


@click.command()
def toy():
    """Play."""
    click.echo("played")
'''
    )
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{commands.__name__}.toy", raising=False)
    importlib.invalidate_caches()
    assert "Play." in CliRunner().invoke(cli, ["--help"]).output
    assert CliRunner().invoke(cli, ["toy"]).output == "played\n"
    sys.modules.pop(f"{commands.__name__}.toy")


@pytest.mark.parametrize("name", MODULES)
def test_each_module_is_the_command_of_its_name(name):
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str()


def test_a_command_nobody_has_is_refused():
    refused = CliRunner().invoke(cli, ["dance"])
    assert refused.exit_code == 2
    assert "No such command 'dance'" in refused.output


@pytest.mark.parametrize("arguments", [["--help"], ["jobs", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert [name for name in HEAVY if name in loaded] == []
