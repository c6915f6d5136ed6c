"""Two versions of the service: this one, and the one before it as the history has it."""

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.service import ROOT, inherited_environment

#: The version before: what an operator may have running while this one is started. It is the last
#: commit of the first layout; move it on when a release is tagged, and never past a format of
#: Redis that this version cannot read.
PREVIOUS_COMMIT = "9c55cdcc6a4c700d8bb7e1225be9ed85bfb44d9a"


@dataclass(frozen=True)
class Version:
    """Where a version's sources are."""

    name: str
    root: Path

    def environment(self, **settings):
        """An environment in which Python finds this version and no other."""
        return {**inherited_environment(), "PYTHONPATH": str(self.root), **settings}

    def where(self, module):
        """The file that a process of this version imports a module from."""
        program = f"import {module}; print({module}.__file__)"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return Path(done.stdout.strip())


#: The two versions' names.
BEFORE, NOW = "before", "now"


def both(directory):
    """Both versions by name; the sources of the one before are put into `directory`."""
    return {BEFORE: Version(BEFORE, _extracted(directory)), NOW: Version(NOW, ROOT)}


def _extracted(directory):
    archive = directory / "sources.tar"
    made = subprocess.run(
        ["git", "archive", "--output", str(archive), PREVIOUS_COMMIT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if made.returncode:
        pytest.fail(
            f"The version before, {PREVIOUS_COMMIT}, is not in the history of this clone: "
            f"{made.stderr.strip()}. A shallow clone lacks it: run `git fetch --unshallow`.",
            pytrace=False,
        )
    root = directory / "sources"
    with tarfile.open(archive) as sources:
        sources.extractall(root, filter="data")
    return root
