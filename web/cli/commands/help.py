"""`inference-service help`: what a command does."""

from __future__ import annotations

import click

from web.cli.problem import CommandError


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.option("--markdown", is_flag=True, hidden=True, help="Print docs/CLI.md.")
@click.pass_context
def help(context: click.Context, words: tuple[str, ...], markdown: bool) -> None:
    """Show the help of COMMAND, or list all commands."""
    root = context.find_root()
    if markdown:
        from web.cli import page

        click.echo(page.markdown(root.command), nl=False)
        return
    command, current = root.command, root
    for word in words:
        inner = command.get_command(current, word) if isinstance(command, click.Group) else None
        if inner is None:
            raise CommandError(f"There is no command {' '.join(words)!r}.", 2)
        current = click.Context(inner, info_name=word, parent=current)
        command = inner
    click.echo(command.get_help(current))
