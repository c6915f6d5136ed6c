"""The clients that docs/COMPATIBILITY.md names are those that `make test-clients` installs."""

import json
import re
from pathlib import Path

from web.render.tested_clients import BY_LANGUAGE

CLIENTS = Path(__file__).parents[2] / "clients"


def named(language):
    return {client.package: client.version for client in BY_LANGUAGE[language]}


def test_for_python():
    installed = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)$", (CLIENTS / "requirements.txt").read_text(), re.M)
    )
    assert named("Python").items() <= installed.items()


def test_for_node():
    asked = json.loads((CLIENTS / "node" / "package.json").read_text())["dependencies"]
    assert named("Node.js") == {name: asked[name] for name in asked if name != "zod"}
    locked = json.loads((CLIENTS / "node" / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked


def test_the_lock_file_names_no_registry():
    locked = json.loads((CLIENTS / "node" / "package-lock.json").read_text())["packages"]
    assert not [name for name, package in locked.items() if "resolved" in package]
