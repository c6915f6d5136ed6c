"""Where tables are printed: at a terminal within its width, elsewhere as wide as they are."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click
from rich.console import Console

#: Columns of a table that goes to a pipe or a file: nothing may be cut there.
_PIPED_WIDTH = 250
_GAP = 2
#: A last column that would be narrower than this begins on a line of its own.
_LEAST_LAST = 20
_INDENT = 4


def console() -> Console:
    """The standard output, as wide as the terminal, or wide enough for a program that reads it."""
    return Console(width=terminal_width() or _PIPED_WIDTH)


def terminal_width() -> int | None:
    """Columns of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_text(text: str) -> None:
    """Print a sentence, within the terminal's width."""
    width = terminal_width()
    click.echo(textwrap.fill(text, width, break_on_hyphens=False) if width else text)


def print_rows(rows: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> None:
    """Print rows in columns, of which the last is folded at its words where it has no room.

    `widths` are the least of the columns before it.
    """
    for line in row_lines(rows, terminal_width(), widths):
        click.echo(line)


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The widths of all columns but the last."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]


def row_lines(
    rows: Sequence[Sequence[str]], width: int | None, widths: Sequence[int] = ()
) -> Iterator[str]:
    """The lines of rows, none longer than `width`; None: as long as they are."""
    own = column_widths(rows)
    widths = [max(pair) for pair in zip(own, widths, strict=True)] if widths else own
    begin = sum(width + _GAP for width in widths)
    for *cells, last in rows:
        head = "".join(f"{cell:<{width + _GAP}}" for cell, width in zip(cells, widths, strict=True))
        if width is None or begin + len(last) <= width:
            yield (head + last).rstrip()
            continue
        indent = begin if width - begin >= _LEAST_LAST else _INDENT
        folded = textwrap.wrap(last, width - indent, break_on_hyphens=False)
        if indent != begin:
            yield head.rstrip()
        else:
            yield head + folded.pop(0)
        yield from (" " * indent + line for line in folded)
