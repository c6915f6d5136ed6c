"""The release builds every image that there is, and tests what it built."""

import configparser
import re

import yaml

from tests.support.deployed import DEPLOY, ROOT, check_command

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
JOBS = WORKFLOW["jobs"]


def runs(job):
    """Every line that a job runs in a shell."""
    return "\n".join(step["run"] for step in JOBS[job]["steps"] if "run" in step)


def test_every_image_is_built_and_started():
    matrix = JOBS["image"]["strategy"]["matrix"]["include"]
    assert {one["dockerfile"] for one in matrix} == {
        path.name for path in DEPLOY.glob("Dockerfile*")
    }
    assert [one["dockerfile"] for one in matrix if one["answers"]] == ["Dockerfile"]


def test_nothing_is_released_before_all_of_it_was_tested():
    assert JOBS["release"]["needs"] == ["wheel", "image"]
    steps = [step.get("run", step.get("uses", "")) for step in JOBS["image"]["steps"]]
    (tested,) = (n for n, step in enumerate(steps) if "/health/ready" in step)
    (published,) = (n for n, step in enumerate(steps) if "docker push" in step)
    assert tested < published


def test_the_commands_that_it_tries_are_the_services_own():
    for words in re.findall(r"inference-service (\w[\w -]*)", runs("wheel")):
        check_command(words.split()[:2] if words.startswith("run") else words.split()[:1])
    check_command(["version"])


def test_versions_are_compared_where_they_stand():
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    version = metadata["metadata"]["version"]
    assert f"\nversion = {version}\n" in (ROOT / "setup.cfg").read_text()
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)
