"""The scripts of shells, and the words that they are answered with."""

import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from web.cli.main import cli

PROGRAM, VARIABLE = "inference-service", "_INFERENCE_SERVICE_COMPLETE"


def words(arguments, incomplete):
    completer = get_completion_class("bash")(cli, {}, PROGRAM, VARIABLE)
    return [item.value for item in completer.get_completions(arguments, incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_this_program(shell):
    script = CliRunner().invoke(cli, ["completion", shell])
    assert script.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in script.output
    assert PROGRAM in script.output


def test_commands_aliases_options_and_models_are_completed():
    assert words([], "st") == ["status", "stop"]
    assert words(["jobs"], "wa") == ["watch"]
    assert words(["submit"], "--pri") == ["--priority"]
    assert "phi-4" in words(["load"], "phi")
    assert "phi-4" in words(["chat", "--model"], "phi")
