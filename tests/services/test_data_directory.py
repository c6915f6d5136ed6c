"""What lies in the data directory is for its user alone; an unusable one is named at once."""

import contextlib
import os
import stat
import subprocess
import sys
import time

import pytest

from tests.support.service import ROOT, Service, inherited_environment
from tests.support.waiting import wait_for
from workers.store import append_only

SCRIPTED = {"INFERENCE_BACKEND": "scripted"}
#: What names a user and a home.
_NAMES = ("HOME", "USER", "LOGNAME", "USERNAME")
#: `up` gives up at once; the rest is for a busy machine.
REFUSED_WITHIN_S = 20


def start_in_vain(service):
    """What `up` says where it cannot start."""
    began = time.monotonic()
    refused = service.run("up")
    assert time.monotonic() - began < REFUSED_WITHIN_S
    assert refused.returncode not in (0, None)
    assert "Traceback" not in refused.stderr
    assert service.left_over() == []
    return refused.stderr


@contextlib.contextmanager
def mounted(directory, options):
    """A small file system of its own at this place."""
    directory.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("this user may mount nothing")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def open_to_others(directory):
    return [
        str(path)
        for path in (directory, *directory.rglob("*"))
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    ]


def test_nothing_is_open_to_others_also_where_it_was(tmp_path):
    old = tmp_path / "data" / "logs" / "web.log"
    old.parent.mkdir(parents=True)
    old.write_text("a prompt of last week\n")
    old.chmod(0o644)
    for directory in (old.parent, old.parent.parent):
        directory.chmod(0o755)
    prompts = {"INFERENCE_LOG_PROMPTS": "true"}
    with Service(tmp_path / "data", **SCRIPTED, **prompts) as service:
        (service.data_dir / "up.log").chmod(0o600)  # written by this test, with its own umask
        assert service.post(service.ask({"text": "hello"})).status_code == 200
        assert "hello" in (service.data_dir / "logs" / "web.log").read_text()
        assert service.run("keys", "add", "someone").returncode == 0
        assert open_to_others(service.data_dir) == []


def test_secrets_are_shown_nowhere(tmp_path):
    secret = "prod:ab0815"
    service = Service(
        tmp_path,
        **SCRIPTED,
        INFERENCE_WEBHOOK_SECRET=secret,
        INFERENCE_API_KEYS=f"key-{secret}",
        INFERENCE_REDIS_URL=f"redis://me:pw-{secret}@127.0.0.1:1/0",
    )
    shown = service.run("config")
    as_json = service.run("config", "--json")
    assert "redis://me:***@127.0.0.1:1/0" in shown.stdout
    for output in (shown.stdout, shown.stderr, as_json.stdout, as_json.stderr):
        assert secret not in output


def test_a_full_disk_is_one_line(tmp_path):
    with mounted(tmp_path / "data", "size=512k"):
        said = start_in_vain(Service(tmp_path / "data", **SCRIPTED))
    assert f"the disk of {tmp_path / 'data'} is full" in said
    assert len(said.strip().splitlines()) == 1


def test_a_read_only_directory_is_one_line(tmp_path):
    with mounted(tmp_path / "data", "ro"):
        said = start_in_vain(Service(tmp_path / "data", **SCRIPTED))
    assert f"{tmp_path / 'data'} is on a read-only file system" in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.skipif(os.getuid() == 0, reason="root may read and write everything")
def test_a_directory_of_others_is_one_line(tmp_path):
    (tmp_path / "data").mkdir(mode=0o500)
    said = start_in_vain(Service(tmp_path / "data", **SCRIPTED))
    assert "may not read and write" in said
    assert len(said.strip().splitlines()) == 1


def test_a_damaged_file_is_one_line_and_is_mended_by_the_command_it_names(tmp_path):
    with Service(tmp_path, **SCRIPTED) as first, first.redis() as redis:
        for number in range(100):
            redis.set(f"test:{number}", "x" * 50)
    (file,) = (tmp_path / "redis" / append_only.DIRECTORY).glob("*.incr.aof")
    content = bytearray(file.read_bytes())
    content[content.index(b"*3", len(content) // 2)] = ord("X")
    file.write_bytes(content)
    service = Service(tmp_path, **SCRIPTED)
    said = start_in_vain(service)
    assert len(said.strip().splitlines()) == 1
    assert str(file) in said
    assert "inference-service redis --repair" in said
    repaired = service.run("redis", "--repair")
    assert repaired.returncode == 0
    assert f"{file}: the last " in repaired.stdout
    with service:
        assert service.post(service.ask({"text": "again"})).status_code == 200


def test_an_empty_password_is_made_anew(tmp_path):
    with Service(tmp_path, **SCRIPTED):
        pass
    (tmp_path / "redis" / "password").write_text("")
    with Service(tmp_path, **SCRIPTED) as service:
        assert service.post(service.ask({"text": "again"})).status_code == 200
    password = tmp_path / "redis" / "password"
    assert len(password.read_text()) == 64
    assert stat.S_IMODE(password.stat().st_mode) == 0o600


def test_a_socket_of_a_long_path_is_private_too(tmp_path):
    from workers.store import embedded

    directory = tmp_path / ("long" * 25)
    socket = embedded.url(directory).rpartition("@")[2]
    assert len(socket) <= embedded.LONGEST_SOCKET_PATH
    assert stat.S_IMODE(os.stat(os.path.dirname(socket)).st_mode) == 0o700


def test_anything_may_stand_in_its_path_and_a_proxy_in_the_environment(tmp_path):
    directory = tmp_path / "a # ? %41 ; [x] \" \\ '"
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:1")
    proxies |= dict.fromkeys(("ALL_PROXY", "all_proxy"), "socks5://127.0.0.1:1")
    with Service(directory, **SCRIPTED) as service:
        assert service.post(service.ask({"text": "again"})).status_code == 200
        assert (directory / "redis" / append_only.DIRECTORY).is_dir()
        models = service.run("models", **proxies)
        assert models.returncode == 0
        assert "No service answers" not in models.stderr
        chat = service.run("chat", "say something", **proxies)
        assert chat.returncode == 0, chat.stderr
        jobs = service.run("jobs", "list", **proxies)
        assert jobs.returncode == 0, jobs.stderr
        unloaded = service.run("unload", "smollm2-135m", **proxies)
        assert unloaded.returncode == 0, unloaded.stderr


def test_up_says_ready_whatever_proxies_the_environment_names(tmp_path):
    environment = {"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "socks5://127.0.0.1:1"}
    service = Service(tmp_path, **SCRIPTED, **environment)
    with service:
        wait_for(lambda: f"ready: {service.url}" in (tmp_path / "up.log").read_text(), 20)


def test_a_user_without_a_home_is_told_what_to_set(tmp_path):
    program = (
        "import pwd\n"
        "def nobody(_): raise KeyError('no such user')\n"
        "pwd.getpwuid = nobody\n"
        "from web.cli.main import cli\n"
        "cli()\n"
    )
    environment = {
        name: value for name, value in inherited_environment().items() if name not in _NAMES
    }
    command = [sys.executable, "-c", program]
    for arguments, more in (
        (["config"], {}),
        (["up"], {"INFERENCE_MODELS_DIR": "~/models", "INFERENCE_DATA_DIR": str(tmp_path)}),
    ):
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        first, problem = done.stderr.strip().splitlines()
        assert first == "inference-service cannot start:"
        assert ("INFERENCE_MODELS_DIR" if more else "INFERENCE_DATA_DIR") in problem
        assert "home directory" in problem
    works = subprocess.run(
        [*command, "config"],
        cwd=ROOT,
        env={**environment, "INFERENCE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert works.returncode == 0, works.stderr
