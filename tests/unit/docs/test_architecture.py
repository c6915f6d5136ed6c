"""ARCHITECTURE stays one page, and its table of Redis keys has all that `keys` has."""

import re
from pathlib import Path

from workers.contract import keys

PAGE = (Path(__file__).parents[3] / "docs" / "ARCHITECTURE.md").read_text()
MOST_LINES = 130


def names_in_contract():
    """The keys of the table in the header of `workers.contract.keys`."""
    rows = keys.__doc__.split("\n====")[2].splitlines()[1:]
    return {row.split()[0] for row in rows if not row.startswith(" ")}


def test_every_redis_key_is_in_the_table():
    section = PAGE.partition("\n## Redis keys\n")[2]
    shown = set(re.findall(r"`([\w:{}]+)`", section))
    assert len(names_in_contract()) > 40
    assert names_in_contract() - shown == set()


def test_it_stays_one_page():
    assert len(PAGE.splitlines()) <= MOST_LINES
