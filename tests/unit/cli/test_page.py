"""docs/CLI.md is that of the commands."""

from pathlib import Path

import click

from web.cli import page
from web.cli.aliases import ALIASES
from web.cli.main import cli

PAGE = Path(__file__).parents[3] / "docs" / "CLI.md"


def test_the_written_page_is_that_of_the_commands():
    """Write it again with: inference-service help --markdown > docs/CLI.md."""
    assert PAGE.read_text() == page.markdown(cli)


def test_an_alias_is_a_command_that_exists():
    context = click.Context(cli)
    for name, words in ALIASES.items():
        alias = cli.get_command(context, name)
        assert alias.get_short_help_str() == f"The same as: {' '.join(words)}."
