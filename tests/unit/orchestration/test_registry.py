"""The modes there are: registered where they are defined, and named nowhere else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.modes import registry
from orchestration.modes.pipeline import STAGE_TEMPLATES
from orchestration.modes.single import Single
from presets.catalogue import Catalogue
from presets.preset import STAGES
from presets.schema import CatalogueError
from workers.contract.job import DEFAULT_MODE
from workers.settings import SettingsError, read

ROOT = Path(__file__).parents[3]
PACKAGES = ("web", "orchestration", "workers", "presets")


def test_every_mode_is_there_the_default_one_first():
    assert registry.names() == (DEFAULT_MODE, "critique", "debate", "ensemble", "pipeline")


def test_a_name_belongs_to_one_mode():
    assert registry.register(Single) is Single
    with pytest.raises(ValueError, match="two modes are called 'single'"):
        registry.register(type("Other", (Single,), {}))
    assert registry.classes()[DEFAULT_MODE] is Single


def test_every_stage_that_can_be_named_has_a_template():
    assert set(STAGES) == set(STAGE_TEMPLATES)


def compares_with(tree, names):
    """The lines on which a text is compared with one of these names, or looked up by it."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                operands = [left, *others]
            case ast.Dict(keys=keys):
                operands = keys
            case ast.MatchValue(value=value) | ast.Subscript(slice=value):
                operands = [value]
            case _:
                continue
        inner = [leaf for operand in operands if operand for leaf in ast.walk(operand)]
        if any(isinstance(leaf, ast.Constant) and leaf.value in names for leaf in inner):
            yield node.lineno


def test_no_module_asks_for_a_mode_by_its_name():
    """Whoever adds a mode has nothing to look for: only its own module knows its name."""
    modes = set(registry.names())
    places = []
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            own = {file.stem} if file.parent.name == "modes" else set()
            lines = compares_with(ast.parse(file.read_text()), modes - own)
            places += [f"{file.relative_to(ROOT)}:{line}" for line in lines]
    assert places == []


def test_a_setting_of_an_unknown_mode_is_named_with_what_is_allowed():
    registry.check_settings(read({"INFERENCE_ORCHESTRATION_MODE": "Debate"}, env_file=None))
    with pytest.raises(SettingsError) as refused:
        registry.check_settings(read({"INFERENCE_ORCHESTRATION_MODE": "quarrel"}, env_file=None))
    message = str(refused.value)
    assert message.startswith(
        "INFERENCE_ORCHESTRATION_MODE='quarrel' cannot be used; allowed: single"
    )


@pytest.mark.parametrize(
    "command",
    [("web",), ("worker",), ("worker", "--orchestration"), ("evaluate", "--presets", "mine")],
)
def test_no_process_starts_with_an_unknown_mode(tmp_path, command):
    (tmp_path / "presets.yaml").write_text(
        "presets:\n- {id: mine, models: [phi-4], mode: quarrel, hardware: mac}\n"
    )
    started = subprocess.run(
        [sys.executable, "-m", "web.cli", *command],
        cwd=ROOT,
        env={"INFERENCE_CATALOGUE_DIR": str(tmp_path), "INFERENCE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 2
    assert "presets.yaml: mine: mode must be one of: single" in started.stderr


def test_the_shipped_presets_have_their_modes_and_fields():
    registry.check_presets(Catalogue.load(None, "scripted"))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("mode: solo", "mode must be one of: single, critique"),
        ("mode: single, critic: phi-4", "critic goes only with mode critique"),
        ("mode: single, members: 3", "members goes only with modes debate and ensemble"),
        ("mode: critique, temperature: 1", "temperature goes only with modes debate and ensemble"),
        ("mode: debate, synthesiser: phi-4", "synthesiser goes only with mode ensemble"),
        ("mode: ensemble, stages: [{stage: draft, model: phi-4}]", "stages goes only with mode"),
    ],
)
def test_a_preset_that_its_mode_cannot_use_is_named_with_its_field(tmp_path, entry, problem):
    text = f"presets:\n- {{id: mine, models: [phi-4], hardware: mac, {entry}}}\n"
    (tmp_path / "presets.yaml").write_text(text)
    with pytest.raises(CatalogueError, match=f"presets.yaml: mine: {problem}"):
        registry.check_presets(Catalogue.load(None, "scripted", own=tmp_path))
