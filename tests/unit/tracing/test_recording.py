"""What a process pays that sends no traces: nothing."""

import subprocess
import sys

OFF = """
import sys
import orchestration.worker, web.app, workers.runtime.model_worker
from workers.settings import read
from workers.tracing import recording
recording.configure(read({}, env_file=None), "test", lambda *_: None)
assert not recording.is_on()
# redis-py looks whether OpenTelemetry is there, and imports its names of metrics.
ours = ("workers.tracing.sdk", "opentelemetry.sdk.trace", "opentelemetry.exporter", "grpc")
print([name for name in sys.modules if name.startswith(ours)])
"""
MISSING = """
import sys
sys.modules["opentelemetry.sdk.trace"] = None
from workers.settings import read
from workers.tracing import recording
recording.configure(read({"OTEL_ENABLED": "true"}, env_file=None), "test", lambda *_: None)
assert not recording.is_on()
"""


def test_off_nothing_of_it_is_imported():
    ran = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_where_it_is_not_installed_the_command_is_named():
    ran = subprocess.run(
        [sys.executable, "-c", MISSING], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0
    assert "pip install" in ran.stderr
    assert "[otel]" in ran.stderr
