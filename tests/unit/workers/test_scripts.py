"""What holds for every Lua script: its header is whole, and it reads its arguments by name."""

import re
from importlib import resources

import pytest

from workers.contract import keys

SOURCES = {
    file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
    for file in resources.files("workers").joinpath("lua").iterdir()
    if file.name.endswith(".lua")
}
#: Function of the prelude -> names of the keys that it touches.
SHARED = {
    function.group(1): set(re.findall(r"\bkey\('(\w+)'", function.group(0)))
    for function in re.finditer(r"^local function (\w+)\(.*?^end", SOURCES["prelude"], re.M | re.S)
}
SHARED["redeliver_step"] |= SHARED["enqueue_step"]
SHARED["forget_request"] |= SHARED["count_bytes"]


def _parts(name):
    """Header and body of a script."""
    lines = SOURCES[name].splitlines()
    length = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:length]), "\n".join(lines[length:])


def _touched(body):
    touched = set(re.findall(r"\bkey\('(\w+)'", body))
    touched |= set(re.findall(r"'(slots|queued|deadlines)'", body))
    for function, names in SHARED.items():
        if re.search(rf"\b{function}\(", body):
            touched |= names
    return touched


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"prelude"}))
def test_a_header_opens_with_every_key_that_the_script_touches(name):
    header, body = _parts(name)
    touches = header.partition("-- Touches")[2].partition("-- Arguments")[0]
    named = set(re.findall(r"^--   (\w+)(?::\{\w+\})*(?::\w+)? ", touches, re.M))
    assert _touched(body) - named == set()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_key_is_one_of_the_contract(name):
    table = set(re.findall(r"^(\w+)(?::\{\w+\})*(?::\w+)? ", keys.__doc__, re.M))
    assert _touched(_parts(name)[1]) - table == set()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_positions_stand_nowhere_but_where_arguments_get_their_names(name):
    body = _parts(name)[1]
    assert not re.search(r"ARGV\[", body)
    assert re.findall(r"KEYS\[\d+\]", body) == (["KEYS[1]"] if name == "prelude" else [])


def test_a_number_with_a_meaning_stands_once():
    together = "\n".join(_parts(name)[1] for name in SOURCES)
    assert "1e13" not in together
    constants = re.findall(r"^local ([A-Z][A-Z_]+(?:, [A-Z_]+)*) =", together, re.M)
    shared = [name for name in constants if not name.startswith("FIRST_")]
    assert len(shared) == len(set(shared))
