"""The images: who runs in them, what is left in the last stage, and what they start."""

import configparser
import json
import re
import shutil
import subprocess

import pytest

from tests.support.deployed import DEPLOY, ROOT, check_command
from workers.settings import Settings

IMAGES = sorted(DEPLOY.glob("Dockerfile*"))
COMPILERS = {"build-essential", "gcc", "g++", "cmake", "clang", "make"}
#: vLLM compiles while it runs: Triton makes a launcher for each kernel.
NEEDS_GCC = "Dockerfile.cuda"


def instructions(image):
    """Each instruction of a Dockerfile, its lines joined: `(name, rest)`."""
    lines = [line for line in image.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line.strip()]


def last_stage(image):
    """What is in the image itself."""
    every = instructions(image)
    begins = max(number for number, (name, _) in enumerate(every) if name == "FROM")
    return every[begins:]


def one(image, wanted):
    """The rest of the one instruction of that name in the last stage."""
    (found,) = (rest for name, rest in last_stage(image) if name == wanted)
    return found


def test_there_are_the_three():
    names = [image.name for image in IMAGES]
    assert names == ["Dockerfile", "Dockerfile.cuda", "Dockerfile.llamacpp-cuda"]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_it_runs_the_service_as_a_user_of_its_own(image):
    uid, gid = one(image, "USER").split(":")
    assert f"--uid {uid} " in dict(last_stage(image))["RUN"]
    assert uid == gid != "0"
    assert json.loads(one(image, "ENTRYPOINT")) == ["inference-service"]
    check_command(json.loads(one(image, "CMD")))
    assert one(image, "EXPOSE") == str(Settings().port)


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_its_health_is_asked_for_as_told(image):
    assert re.sub(r"\s+", " ", one(image, "HEALTHCHECK")) == (
        "--interval=60s --timeout=30s --retries=3 --start-period=120s "
        f'CMD ["curl", "-f", "http://localhost:{Settings().port}/health"]'
    )


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_no_compiler_is_left(image):
    words = {word for name, rest in last_stage(image) if name == "RUN" for word in rest.split()}
    assert COMPILERS & words == ({"gcc"} if image.name == NEEDS_GCC else set())
    assert "curl" in words


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_what_it_installs_is_what_setup_cfg_names(image):
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    extras = dict(metadata["options.extras_require"])
    text = image.read_text()
    (named,) = re.findall(r"/src\[([\w,-]+)\]", text)
    assert set(named.split(",")) <= set(extras)
    (alone,) = re.findall(r"pip install --no-cache-dir '([^/][^']+)'", text)
    assert any(alone in extra.splitlines() for extra in extras.values())


def test_the_builds_context_has_all_packages_and_no_tests():
    allowed = (ROOT / ".dockerignore").read_text().split()
    for needed in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "celeryconfig.py"):
        assert f"!{needed}" in allowed
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert {f"!{package}" for package in packages} <= set(allowed)
    assert "*" in allowed
    assert "!tests" not in allowed


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_hadolint_finds_nothing(image):
    checked = subprocess.run(["hadolint", str(image)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
