"""CONTRIBUTING's list for a new mode is true: its files are there, its table is the class's."""

import ast
import re
from pathlib import Path

import pytest

from orchestration.modes import registry
from orchestration.modes.base import Mode
from workers.contract.job import DEFAULT_MODE

ROOT = Path(__file__).parents[3]
TOY = ROOT / "tests" / "integration" / "toy_mode.py"
OWN = [name for name in registry.names() if name != DEFAULT_MODE]


@pytest.fixture(scope="module")
def section():
    """The text of the section."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return text.partition("\n## Add a mode\n")[2].partition("\n## ")[0]


def steps(section):
    """The files of each step: those before the colon."""
    lines = re.findall(r"^\d\. (.*?):", section, re.M)
    return [re.findall(r"`([^`]+)`", line) for line in lines]


def table(section):
    """Attribute -> whether every mode needs it."""
    rows = re.findall(r"^   \| `(\w+)` \| .* \| (.*) \|$", section, re.M)
    return {attribute: needed == "yes" for attribute, needed in rows}


def test_every_file_that_it_names_is_there(section):
    paths = set(re.findall(r"`([\w/]+\.(?:py|md))`", section))
    assert len(paths) >= 8
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_the_steps_are_one_file_of_code_its_tests_and_a_row(section):
    files = steps(section)
    assert files[0] == ["orchestration/modes/<name>.py"]
    assert files[1:4] == [
        ["tests/unit/orchestration/test_<name>.py"],
        ["tests/modes/test_<name>.py"],
        ["docs/ORCHESTRATION.md"],
    ]
    assert len(files) == 6


@pytest.mark.parametrize("mode", OWN)
def test_every_shipped_mode_has_the_files_of_the_list(section, mode):
    for (path,) in steps(section)[:3]:
        assert (ROOT / path.replace("<name>", mode)).is_file()
    page = (ROOT / "docs" / "ORCHESTRATION.md").read_text()
    assert re.search(rf"^\| `{mode}` \|", page, re.M)


def test_the_table_has_what_a_mode_can_say(section):
    public = {name for name in (*vars(Mode), *Mode.__annotations__) if not name.startswith("_")}
    assert set(table(section)) == public
    needed = {attribute for attribute, needed in table(section).items() if needed}
    assert needed == {"name", *Mode.__abstractmethods__}


def test_the_toy_does_the_first_step_and_no_more(section):
    (mode,) = [node for node in ast.parse(TOY.read_text()).body if isinstance(node, ast.ClassDef)]
    assert [ast.unparse(base) for base in mode.bases] == ["Mode"]
    assert [ast.unparse(decorator) for decorator in mode.decorator_list] == ["register"]
    said = {node.name for node in mode.body if isinstance(node, ast.FunctionDef)}
    said |= {node.targets[0].id for node in mode.body if isinstance(node, ast.Assign)}
    assert {attribute for attribute, needed in table(section).items() if needed} <= said
    assert said <= set(table(section))
    assert "longest" not in registry.names()
