"""Rows in columns: within a terminal's width, and whole in a pipe."""

import io

import pytest
from rich.console import Console

from web.cli.commands import tune
from web.cli.console import row_lines

ROWS = [
    ("name", "a", "one two three four five six seven"),
    ("longer name", "b", "x" * 60),
    ("", "", ""),
]


def test_a_pipe_gets_every_row_whole():
    assert list(row_lines(ROWS, None)) == [
        "name         a  one two three four five six seven",
        f"longer name  b  {'x' * 60}",
        "",
    ]


@pytest.mark.parametrize("width", [30, 40, 80])
def test_no_line_is_longer_than_the_terminal_and_nothing_is_lost(width):
    lines = list(row_lines(ROWS, width))
    assert max(map(len, lines)) <= width
    shown = "".join("".join(lines).split())
    assert shown == "".join("".join(cell for row in ROWS for cell in row).split())


def test_what_is_folded_stays_in_its_column():
    assert list(row_lines(ROWS[:1], 30)) == [
        "name  a  one two three four",
        "         five six seven",
    ]


def test_a_column_without_room_begins_on_a_line_of_its_own():
    assert list(row_lines([("n" * 20, "one two three")], 32)) == ["n" * 20, "    one two three"]


def test_tables_that_share_their_columns():
    assert list(row_lines([("a", "x")], 80, [5])) == ["a      x"]


def test_the_table_of_tune_has_room_at_80_columns():
    console = Console(width=80, record=True, file=io.StringIO())
    measured = Measured()
    console.print(tune.table([measured], measured))
    text = console.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "12346/s" in text
    assert "chosen" in text


class Measured:
    """A format with long numbers."""

    form = "original"
    rows = 64
    size_bytes = 40_000 * 2**20
    prefill_tokens_s = decode_tokens_s = batch_tokens_s = 12345.6
    chat_s = 12.34
    perplexity = 123.45
    divergence = 1.1234
