"""Rows of models as a table that fits the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

#: Columns from which on there is room for the files.
_WIDE = 120

#: Title -> what of a row stands there, wherever the table is printed.
_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "model": lambda row: row["id"],
    "status": lambda row: row["status"],
    "GB": lambda row: "" if row["size_gb"] is None else f"{row['size_gb']:.1f}",
    "fits": lambda row: row["fits"],
    "context": lambda row: str(row["context_length"]),
}
_MEMORY = {"MB in use": lambda row: str(row["memory_mb"] or "")}
#: This one is cut where there is no room.
_ROLES = {"roles": lambda row: ", ".join(row["roles"])}
_FILES = {
    "files (missing ones if any is missing)": lambda row: (
        row["error"] or ", ".join(Path(file).name for file in row["files"])
    )
}


def model_table(entries: Sequence[dict[str, Any]], width: int) -> Table:
    """A line for each model: what has no room is cut at the end of the line."""
    wide = width >= _WIDE
    columns = {**_COLUMNS, **(_MEMORY if wide else {}), **_ROLES, **(_FILES if wide else {})}
    table = Table(box=None, pad_edge=False)
    for title, shown in columns.items():
        least = max([len(title), *(len(shown(entry)) for entry in entries)])
        can_be_cut = title in {**_ROLES, **_FILES}
        table.add_column(
            title, no_wrap=True, overflow="ellipsis", min_width=None if can_be_cut else least
        )
    for entry in entries:
        table.add_row(*(Text(shown(entry)) for shown in columns.values()))
    return table


def problems(entries: Sequence[dict[str, Any]], width: int) -> Iterator[Text]:
    """Why models failed, where the table has no room to say so."""
    if width < _WIDE:
        for entry in entries:
            if entry["error"]:
                yield Text(f"{entry['id']}: {entry['error']}")
