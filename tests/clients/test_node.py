"""Clients that run on Node.js, each by tests of its own in `tests/clients/node/`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.clients import ANSWER, ENDLESS, KEY, ONE_CALL
from tests.support.front_end import MODEL
from tests.support.waiting import wait_for

FOLDER = Path(__file__).parent / "node"


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.test.js")))
def test_a_client(real, scripted, used_up_key, runs, file):
    assert shutil.which("node"), "Node.js is needed; none is on the PATH."
    told = {
        "real": real.api_url,
        "scripted": scripted.api_url,
        "key": KEY,
        "usedUpKey": used_up_key,
        "model": MODEL,
        "questions": {"oneCall": ONE_CALL, "endless": ENDLESS},
        "answer": ANSWER,
    }
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", file],
        cwd=FOLDER,
        env={**os.environ, "SERVICE": json.dumps(told)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    wait_for(lambda: not runs())
