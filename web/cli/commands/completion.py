"""`inference-service completion`: the Tab key of three shells."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

#: The name under which a shell knows this program, and the variable by which it asks for words.
_PROGRAM, _VARIABLE = "inference-service", "_INFERENCE_SERVICE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands, options and models in SHELL.

    For bash, put this line into ~/.bashrc: eval "$(inference-service completion bash)"

    For zsh, put this line into ~/.zshrc: eval "$(inference-service completion zsh)"

    For fish, put this line into config.fish: inference-service completion fish | source
    """
    completer = get_completion_class(shell)
    if completer is None:
        raise LookupError(f"click completes nothing in {shell}")
    root = context.find_root().command
    # Not `source()`: that of bash runs bash to learn its version.
    script = completer(root, {}, _PROGRAM, _VARIABLE)
    click.echo(script.source_template % script.source_vars())
