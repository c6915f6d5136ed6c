"""docs/CLI.md, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from web.cli.aliases import ALIASES

_PROGRAM = "inference-service"
_TOP = f"""# The command line

<!-- Written by `{_PROGRAM} help --markdown`: change the commands, not this page. -->

To talk to a model of a service on another machine:

```
$ export INFERENCE_URL=http://192.168.1.5:8085 INFERENCE_API_KEY=isk-...
$ {_PROGRAM} chat
```

Each command that asks a service takes `--url` and `--api-key` as well. `{_PROGRAM} help COMMAND`
prints what stands here. A command ends with 0 if it did what it was asked, 1 if it could not, 2 if
it was called wrongly, and 130 after Ctrl-C, when it says what goes on without you.

| other name | the same as |
|---|---|
"""


def markdown(root: click.Command) -> str:
    """The whole page: a table of the other names, then each command with its options."""
    aliases = "".join(f"| `{name}` | `{' '.join(ALIASES[name])}` |\n" for name in sorted(ALIASES))
    context = click.Context(root, info_name=_PROGRAM)
    return _TOP + aliases + "".join(_commands(root, context, ""))


def _commands(group: click.Command, context: click.Context, path: str) -> Iterator[str]:
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden or (not path and name in ALIASES):
            continue
        words = f"{path}{name}"
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner, f"{words} ")
        else:
            yield _section(command, inner, words)


def _section(command: click.Command, context: click.Context, words: str) -> str:
    usage = " ".join([_PROGRAM, words, *command.collect_usage_pieces(context)])
    text = f"\n## {words}\n\n```\n{usage}\n```\n\n{inspect.cleandoc(command.help or '')}\n"
    rows = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts
        if (record := parameter.get_help_record(context)) is not None
    ]
    if rows:
        text += "\n| option | meaning |\n|---|---|\n"
        text += "".join(f"| `{_cell(option)}` | {_cell(meaning)} |\n" for option, meaning in rows)
    return text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
