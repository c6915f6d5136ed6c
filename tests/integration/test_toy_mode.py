"""A mode is added without a change to the core: a request is answered by one of the tests' own.

The processes of a service on a real Valkey, each started alone. `up` is not used: it starts them by
a command that knows the shipped modes alone.
"""

import contextlib
import signal
import subprocess
import sys

import pytest

from tests.support.front_end import MODEL, FrontEnd
from tests.support.service import ROOT, inherited_environment
from tests.support.waiting import wait_for

#: This module's toy, run as a process; it is never imported here, where it would stay registered.
TOY = "tests.integration.toy_mode"
OTHER = f"{MODEL}-b"
COMMANDS = (("web",), ("worker", "--orchestration"), ("worker", MODEL), ("worker", OTHER))


@pytest.fixture
def front_end(tmp_path, redis_socket, redis):
    front = FrontEnd()
    environment = {
        **inherited_environment(),
        "INFERENCE_DATA_DIR": str(tmp_path),
        "INFERENCE_BACKEND": "scripted",
        "INFERENCE_PORT": str(front.port),
        "INFERENCE_PRELOAD_MODELS": f"{MODEL},{OTHER}",
        "INFERENCE_ORCHESTRATION_MODE": "longest",
        "INFERENCE_REDIS_URL": f"unix://{redis_socket}",
        "INFERENCE_GRACE_S": "0.5",
    }
    log = tmp_path / "processes.log"
    with contextlib.ExitStack() as closing:
        output = closing.enter_context(log.open("ab"))
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", TOY, *command],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            for command in COMMANDS
        ]
        for process in processes:
            closing.callback(process.wait, 30)
            closing.callback(process.send_signal, signal.SIGTERM)
        front.connect()
        closing.callback(front.disconnect)
        try:
            wait_for(front.is_ready, 60)
            yield front
        except BaseException:
            print(log.read_text(errors="replace"))
            raise


def test_a_request_is_answered_in_a_mode_of_ones_own(front_end):
    script = {"steps": {"author-1": {"text": "short"}, "author-2": {"text": "rather longer"}}}
    answer = front_end.post(front_end.ask(script))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == "rather longer"
    report = body["orchestration"]
    assert (report["mode"], report["answer_step"]) == ("longest", "author-2")
    assert [(step["role"], step["model"]) for step in report["steps"]] == [
        ("author", MODEL),
        ("author", OTHER),
    ]
    assert (report["rounds"], report["characters"]) == (1, len("rather longer"))
    refused = front_end.post(front_end.ask("x", orchestration_mode="quarrel"))
    assert refused.status_code == 422
    assert "longest" in refused.text
