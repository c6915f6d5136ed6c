import os
import stat
from pathlib import Path

import pytest

from workers.store import data_directory
from workers.store.data_directory import Unusable


@pytest.fixture(autouse=True)
def _umask_as_before():
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(top):
    paths = [top, *top.rglob("*")]
    return {
        str(path.relative_to(top)): stat.S_IMODE(path.lstat().st_mode)
        for path in paths
        if not path.is_symlink()
    }


def test_what_was_open_to_others_is_closed(tmp_path):
    top = tmp_path / "data"
    (top / "logs").mkdir(parents=True)
    (top / "logs" / "web.log").write_text("a prompt")
    (top / "api_keys.json").write_text("{}")
    elsewhere = tmp_path / "model.gguf"
    elsewhere.write_text("weights")
    (top / "linked").symlink_to(elsewhere)
    for path in (top, top / "logs"):
        path.chmod(0o755)
    (top / "api_keys.json").chmod(0o644)
    data_directory.prepare(top)
    mode_of = modes(top)
    assert {mode & 0o077 for mode in mode_of.values()} == {0}
    assert mode_of["."] == mode_of["logs"] == mode_of["redis"] == 0o700
    assert mode_of["logs/web.log"] == mode_of["api_keys.json"] == 0o600
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644


def test_what_is_written_afterwards_is_for_its_user_alone(tmp_path):
    data_directory.prepare(tmp_path / "data")
    (tmp_path / "data" / "later").mkdir()
    (tmp_path / "data" / "later" / "file").write_text("x")
    assert modes(tmp_path / "data")["later/file"] == 0o600
    assert modes(tmp_path / "data")["later"] == 0o700


def test_a_directory_that_holds_a_home_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    (tmp_path / "home" / "me").mkdir(parents=True)
    page = tmp_path / "home" / "page.html"
    page.write_text("for everybody")
    data_directory.prepare(tmp_path / "home")
    assert stat.S_IMODE(page.stat().st_mode) == 0o644


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "logs").write_text("no directory")
    with pytest.raises(Unusable, match=r"data/logs is no directory.*INFERENCE_DATA_DIR"):
        data_directory.prepare(tmp_path / "data")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("ENOSPC", "the disk of /data is full"),
        ("EROFS", "/data is on a read-only file system"),
        ("EACCES", "may not read and write /data"),
        ("EIO", "/data cannot be used"),
    ],
)
def test_every_reason_names_the_place_and_what_to_do(number, said):
    import errno

    code = getattr(errno, number)
    message = data_directory.reason(Path("/data"), OSError(code, os.strerror(code)))
    assert said in message
    assert "INFERENCE_DATA_DIR" in message
    assert "\n" not in message
