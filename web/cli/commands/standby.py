"""`inference-service standby`: imports what a worker needs, waits, and becomes one."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Sequence

import click

from web.cli.startup import load_catalogue, load_settings
from workers.runtime.ending import end_with_supervisor


@click.command(hidden=True)
@click.argument("models", nargs=-1)
def standby(models: tuple[str, ...]) -> None:
    """Import what workers of MODELS need, and wait for `up` to say what to become."""
    from web.cli.main import cli
    from workers.runtime import model_worker

    end_with_supervisor()
    catalogue = load_catalogue(load_settings())
    model_worker.import_ahead({catalogue.get(model).backend for model in models})
    line = sys.stdin.buffer.readline()
    if not line:  # `up` has ended
        return
    task = json.loads(line)
    descriptor = os.open(task["log_file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    _show_as(task["arguments"])
    cli.main(task["arguments"], prog_name="inference-service")


def _show_as(arguments: Sequence[str]) -> None:
    """Let lists of processes show this one with the command line of what it has become.

    On Linux alone, and where the new command line is not longer. The kernel shows what stands
    where the arguments were up to the first zero, once their last byte is not zero (proc(5)).
    """
    if sys.platform != "linux":
        return
    title = " ".join([*sys.orig_argv[:3], *arguments]).encode() + b"\0"
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    room = end - begin
    if len(title) < room:
        ctypes.memmove(begin, title.ljust(room - 1, b"\0") + b" ", room)
