"""The command line as people meet it at a terminal of 80 columns."""

import json
import socket
import subprocess
import sys

import pytest

from tests.support.front_end import MODEL, free_port
from tests.support.service import ROOT, Service
from tests.support.terminal import COLUMNS, Terminal
from tests.support.waiting import wait_for

SCRIPTED = {"INFERENCE_BACKEND": "scripted"}
CTRL_C, CTRL_D, LEFT, UP = "\x03", "\x04", "\x1b[D", "\x1b[A"
#: An answer of half a minute.
LONG = {"text": "One. " + "word " * 60, "tokens_per_s": 2}


def script(**what):
    return json.dumps({"scripted": what})


@pytest.fixture
def nowhere(tmp_path):
    """Settings of a service that does not run."""
    return Service(tmp_path, **SCRIPTED)


@pytest.fixture
def chat(scripted_service):
    """A conversation that shows its prompt."""
    with Terminal(scripted_service, "chat") as terminal:
        terminal.await_text("\n>")
        yield terminal


def test_top_shows_what_runs_and_ends_with_q(scripted_service):
    with (
        scripted_service.open_stream(scripted_service.ask(LONG)) as stream,
        Terminal(scripted_service, "top", "--interval", "0.5") as terminal,
    ):
        stream.await_content()
        terminal.await_text(" 1/8 ")
        lines = terminal.text.split("\n")
        assert lines[0].startswith(scripted_service.url)
        assert max(map(len, lines)) <= COLUMNS
        terminal.type("q")
        assert terminal.end() == 0
        assert b"\x1b[?1049l" in terminal.raw  # what was there before is there again
    piped = scripted_service.run("top", "--once", "--interval", "0.5")
    assert piped.returncode == 0, piped.stderr
    assert "requests/s" in piped.stdout
    assert "\x1b" not in piped.stdout
    assert MODEL in piped.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("models",),
        ("ls",),
        ("presets", "list"),
        ("jobs", "list"),
        ("ps",),
        ("status",),
        ("show", MODEL),
        ("config",),
        ("caches",),
    ],
)
def test_no_line_is_broken_at_80_columns(scripted_service, arguments):
    assert scripted_service.post(scripted_service.ask({"text": "x"})).status_code == 200
    scripted_service.run("submit", "-m", MODEL, script(text="x"))
    with Terminal(scripted_service, *arguments) as terminal:
        assert terminal.end() == 0
        lines = terminal.written_lines()
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) > 1


def test_keys_are_listed_at_80_columns_one_line_each(tmp_path):
    service = Service(tmp_path / ("a-name-of-a-directory-that-goes-on-and-on" * 2))
    for name in ("of-the-gateway", "b"):
        service.run("keys", "add", name, "--admin", "--per-minute", "1000000")
    service.run("keys", "rotate", "b")
    with Terminal(service, "keys", "list") as terminal:
        assert terminal.end() == 0
        lines = terminal.written_lines()
    assert [line.split()[0] for line in lines] == ["name", "of-the-gateway", "b"]
    assert max(map(len, lines)) <= COLUMNS


def test_models_has_one_line_for_each_model(scripted_service):
    listed = json.loads(scripted_service.run("models", "--json").stdout)
    with Terminal(scripted_service, "models") as terminal:
        assert terminal.end() == 0
        lines = terminal.written_lines()
    rows = [line for line in lines[1:] if not line.startswith("To get missing models")]
    assert [row.split()[0] for row in rows] == [entry["id"] for entry in listed]


def test_chat_edits_a_line_and_remembers_it(chat):
    chat.type(script(text="The sea is calm.") + LEFT * 4 + "x\x7f" + " Really.")
    # The cursor stands before the full stop, and Backspace takes the x back.
    chat.type("\r")
    chat.await_text("The sea is calm Really..", times=2)
    chat.type(UP + "\r")
    chat.await_text("The sea is calm Really..", times=4)
    chat.type(CTRL_D)
    assert chat.end() == 0


def test_chat_keeps_its_history_from_one_time_to_the_next(scripted_service, chat):
    chat.type(script(text="Once.") + "\r")
    chat.await_text("Once.", times=2)
    chat.type("/bye\r")
    assert chat.end() == 0
    history = scripted_service.data_dir / "chat_history"
    assert history.stat().st_mode & 0o077 == 0
    with Terminal(scripted_service, "chat") as again:
        again.await_text("\n>")
        again.type(UP + UP)
        again.await_text("Once.")


def test_chat_has_commands_of_its_own(chat):
    chat.type("/help\r")
    for name in ("/help", "/bye", "/set", "/load", "/clear"):
        chat.await_text(name)
    chat.type("/set temperature 0.5\r")
    chat.await_text("temperature is 0.5.")
    chat.type("/set temperature hot\r")
    chat.await_text("not a valid float")
    chat.type("/set parameter max_tokens 3\r")
    chat.await_text("max_tokens is 3.")
    chat.type("/load nobody\r")
    chat.await_text("There is no model 'nobody'.")
    chat.type(f"/load {MODEL}\r")
    chat.await_text(f"{MODEL} answers from now on.")
    chat.type("/dance\r")
    chat.await_text("There is no command /dance.")
    chat.type(script(text="one two three four five six") + "\r")
    chat.await_text("/set max_tokens N allows more.")
    chat.type("/clear\r")
    chat.await_text("The conversation begins anew.")
    chat.type("/bye\r")
    assert chat.end() == 0


def test_chat_takes_several_lines(chat):
    chat.type('"""{"scripted":\r')
    chat.await_text("\n...")
    chat.type('{"text": "Both lines."}}"""\r')
    chat.await_text("Both lines.", times=2)


def test_an_answer_has_a_limit_unless_it_is_raised(scripted_service):
    long = script(text="word " * 1100, tokens_per_s=5000)
    cut = scripted_service.run("chat", long)
    assert cut.returncode == 0
    assert cut.stdout.split() == ["word"] * 1024
    assert "--max-tokens N allows more" in cut.stderr


def test_ctrl_c_stops_an_answer_and_not_the_chat(chat):
    chat.type(script(**LONG) + "\r")
    chat.await_text("\nOne.")  # what was typed begins no line with it
    chat.type(CTRL_C)
    chat.await_text("[The answer is stopped.]")
    chat.type(script(text="Still here.") + "\r")
    chat.await_text("Still here.", times=2)
    chat.type(CTRL_C)  # at the prompt it ends nothing
    chat.await_text("Ctrl-D or /bye leaves.")
    chat.type(CTRL_D)
    assert chat.end() == 0


def test_ctrl_c_says_that_a_watched_job_goes_on(scripted_service):
    with Terminal(scripted_service, "submit", "--watch", "-m", MODEL, script(**LONG)) as terminal:
        job_id = terminal.await_text("One. word").split()[0]
        terminal.type(CTRL_C)
        terminal.await_text("The job goes on. Watch it with: inference-service jobs watch")
        assert terminal.end() == 130
        shown = " ".join(terminal.written_lines())
    assert f"jobs watch {job_id}" in shown
    assert "Aborted" not in shown
    assert json.loads(scripted_service.run("jobs", "show", job_id).stdout)["state"] == "running"
    with Terminal(scripted_service, "jobs", "watch", job_id) as terminal:
        terminal.await_text("One. word")
        terminal.type(CTRL_C)
        terminal.await_text("The job goes on.")
    assert scripted_service.run("jobs", "cancel", job_id).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("chat", "hello"),
        ("submit", "-m", MODEL, "hello"),
        ("jobs", "list"),
        ("load", MODEL),
        ("ps",),
        ("status",),
    ],
)
def test_without_a_service_its_address_is_told_and_what_to_do(nowhere, arguments):
    ended = nowhere.run(*arguments)
    assert ended.returncode == 1
    assert f"No service answers at {nowhere.url} " in ended.stderr
    assert "`inference-service up`" in ended.stderr
    assert "Errno" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("named", ["option", "variable"])
def test_each_command_asks_a_service_elsewhere(scripted_service, nowhere, named):
    def ask(*arguments):
        if named == "option":
            return nowhere.run(*arguments, "--url", f"{scripted_service.url}/v1/")
        return nowhere.run(*arguments, INFERENCE_URL=scripted_service.url)

    assert ask("chat", script(text="From afar.")).stdout == "From afar.\n"
    submitted = ask("submit", "-m", MODEL, script(text="x"), "--api-key", "any")
    assert submitted.returncode == 0, submitted.stderr
    job_id = submitted.stdout.strip()
    assert job_id in ask("jobs", "list").stdout
    assert ask("jobs", "show", job_id).returncode == 0
    assert [entry["id"] for entry in json.loads(ask("ps", "--json").stdout)] == [MODEL]
    elsewhere = {entry["id"]: entry for entry in json.loads(ask("models", "--json").stdout)}
    assert elsewhere[MODEL]["status"] == "loaded"
    assert "ready" in ask("status").stdout
    assert "nobody" in ask("load", "nobody").stderr


def test_an_address_that_is_none_is_refused(nowhere):
    refused = nowhere.run("ps", "--url", "192.168.1.5")
    assert refused.returncode == 2
    assert "no address such as http://" in refused.stderr


@pytest.mark.parametrize(
    "arguments", [("models",), ("ls",), ("jobs", "list"), ("presets", "list"), ("ps",)]
)
def test_what_lists_has_json(scripted_service, arguments):
    listed = json.loads(scripted_service.run(*arguments, "--json").stdout)
    assert listed
    assert all("id" in entry for entry in listed)


def test_a_mode_that_is_none_is_refused_with_the_modes(scripted_service):
    refused = scripted_service.run("presets", "list", "--mode", "critiqe")
    assert refused.returncode == 2
    for mode in ("single", "critique", "debate", "ensemble", "pipeline"):
        assert mode in refused.stderr


def test_bytes_that_are_no_text_are_one_line(scripted_service):
    for arguments, data in (
        (("submit", "-m", MODEL, b"\xff\xfe"), None),
        (("jobs", "show", b"\xff"), None),
        (("chat",), b"caf\xe9"),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "web.cli", *arguments],
            cwd=ROOT,
            env=scripted_service.environment,
            input=data,
            capture_output=True,
            timeout=60,
        )
        assert ended.returncode == 2
        assert b"not valid UTF-8" in ended.stderr
        assert b"Traceback" not in ended.stderr


def test_a_prompt_comes_through_a_pipe(scripted_service):
    ended = subprocess.run(
        [sys.executable, "-m", "web.cli", "run", MODEL],
        cwd=ROOT,
        env=scripted_service.environment,
        input=script(text="Piped."),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (0, "Piped.\n"), ended.stderr


def test_up_ends_where_the_files_of_its_only_model_are_missing(tmp_path):
    (tmp_path / "models").mkdir()
    service = Service(
        tmp_path / "data",
        INFERENCE_MODELS_DIR=str(tmp_path / "models"),
        INFERENCE_PRELOAD_MODELS="phi-4",
    )
    ended = service.run("up")
    assert ended.returncode == 1
    assert "inference-service pull phi-4" in ended.stdout
    assert "are missing" in ended.stderr


def test_up_goes_on_without_flower_where_its_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = Service(
            tmp_path,
            command=("web.cli", "up", "--flower"),
            INFERENCE_FLOWER_PORT=str(port),
            **SCRIPTED,
        )
        with service:
            assert service.post(service.ask({"text": "hi"})).status_code == 200
            log = service.data_dir / "up.log"
            wait_for(lambda: "Flower is not started" in log.read_text(), 30)
            # It is given up, and the service is as ready as without it.
            assert service.pids("flower") == []
            said = log.read_text()
    assert said.count("Flower is not started") == 1
    assert f"Port {port} of 127.0.0.1 cannot be used" in said
    assert "Flower: http" not in said


def test_the_names_that_fingers_know(scripted_service):
    run = scripted_service.run
    assert run("run", MODEL, script(text="At"), "--no-reasoning").stdout == "At\n"
    assert (
        run("serve", "--help").stdout.splitlines()[2] == run("up", "--help").stdout.splitlines()[2]
    )
    assert MODEL in run("ls").stdout
    assert MODEL in run("ps").stdout
    assert "nobody" in run("stop", "nobody").stderr
    shown = json.loads(run("show", MODEL, "--json").stdout)
    assert (shown["id"], shown["status"], shown["backend"]) == (MODEL, "loaded", "scripted")
    assert f"roles           {shown['roles'][0]}" in run("show", MODEL).stdout
    assert run("status").returncode == 0
    assert run("version").stdout.startswith("inference-service ")
    assert "Usage:" in run("help", "jobs", "list").stdout


def test_logs_are_read_and_followed(scripted_service):
    whole = scripted_service.run("logs", "-n", "2")
    assert {line.split(" | ")[0].strip() for line in whole.stdout.splitlines()} > {
        "web",
        "orchestration",
        f"worker-{MODEL}",
    }
    unknown = scripted_service.run("logs", "nobody")
    assert unknown.returncode == 2
    assert "web" in unknown.stderr
    with Terminal(scripted_service, "logs", "-f", "-n", "1", "web") as terminal:
        assert scripted_service.get("/v1/models/followed-by-a-test").status_code == 404
        terminal.await_text("followed-by-a-test")
        terminal.type(CTRL_C)
        assert terminal.end() == 0


def test_files_of_a_model_are_deleted_after_a_question(tmp_path):
    directory = tmp_path / "models" / "mine"
    directory.mkdir(parents=True)
    (tmp_path / "target.gguf").write_bytes(b"GGUF")
    (directory / "mine.gguf").symlink_to(tmp_path / "target.gguf")
    (directory / ".mine.gguf.0123.part").write_bytes(b"half")
    service = Service(
        tmp_path / "data",
        INFERENCE_MODELS_DIR=str(tmp_path / "models"),
        INFERENCE_PORT=str(free_port()),
    )
    asked = service.run("rm", "mine")  # nobody answers the question
    assert asked.returncode == 1
    assert "Nothing was deleted" in asked.stderr
    assert (directory / "mine.gguf").exists()
    with Terminal(service, "rm", "mine") as terminal:
        terminal.await_text("Delete them?")
        terminal.type("y\r")
        assert terminal.end() == 0
    assert not directory.exists()
    assert (tmp_path / "target.gguf").read_bytes() == b"GGUF"
    again = service.run("rm", "--yes", MODEL)
    assert again.returncode == 2
    assert "has no files in" in again.stderr


def test_a_command_that_is_stopped_says_so(scripted_service):
    with Terminal(scripted_service, "chat", script(**LONG)) as terminal:
        terminal.await_text("One. word")
        terminal.type(CTRL_C)
        terminal.await_text("The answer is stopped; nothing goes on.")
        assert terminal.end() == 130
