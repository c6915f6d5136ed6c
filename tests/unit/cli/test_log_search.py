"""Lines of a job, a request or a trace, over all logs."""

import json

from web.cli.log_files import LogFile
from web.cli.log_search import LineFilter, search
from web.cli.up import log_disk
from web.cli.up.log_disk import FULL_BYTES, ROOM_BYTES, LogDisk

JOB = "chatcmpl-" + "a" * 32
OTHER = "chatcmpl-" + "b" * 32


def line(second, text, **fields):
    suffix = "".join(f" {name}={value}" for name, value in fields.items())
    return f"2026-11-27T10:00:{second:02}.000+00:00 INFO    [web] {text}{suffix}\n"


def write(directory, **logs):
    """Each log with its lines; `web_old` is the file before `web`."""
    for name, lines in logs.items():
        file = name.replace("_old", ".log.1") if "_old" in name else f"{name}.log"
        (directory / file).write_text("".join(lines))
    return {f"{name} | ": directory / f"{name}.log" for name in logs if "_old" not in name}


def texts(found):
    return [each.text for each in found]


def test_lines_of_a_request_and_of_its_job_come_from_all_logs_in_order(tmp_path):
    as_json = {"time": "2026-11-27T10:00:03.000+00:00", "message": "answered", "job_id": JOB}
    files = write(
        tmp_path,
        web_old=[line(1, "routed", request_id="r1"), line(1, "other", request_id="r11")],
        web=[line(5, "200", request_id="r1", job_id=JOB), line(6, "x", job_id=OTHER)],
        worker=[json.dumps(as_json) + "\n"],
        keeper=[line(4, f"sent step answer of {JOB} again")],
    )
    found = texts(search(files, "r1", 100))
    assert [text.partition(" |")[0] for text in found] == ["web", "worker", "keeper", "web"]
    assert texts(search(files, "r1", 2)) == found[-2:]
    assert len(search(files, JOB, 100)) == 3
    assert search(files, "r", 100) == []


def test_a_traceback_belongs_to_its_line(tmp_path):
    trace = ["Traceback (most recent call last):\n", "ValueError: no\n"]
    files = write(tmp_path, web=[line(1, "failed", job_id=JOB), *trace, line(2, "next"), "stray\n"])
    assert len(search(files, JOB, 100)) == 3


def test_lines_without_an_end_and_without_sense_are_read_all_the_same(tmp_path):
    files = write(tmp_path, web=["x" * 3_000_000, "\n", "{" + JOB + "\n", "{" * 50_000 + JOB])
    assert [each.time for each in search(files, JOB, 9)] == ["", ""]


def test_new_lines_are_followed(tmp_path):
    (path,) = write(tmp_path, web=[line(1, "before", job_id=JOB)]).values()
    log = LogFile(path, "", LineFilter([JOB]).passes)
    log.skip()
    with path.open("a") as file:
        file.write(line(2, "after", job_id=JOB) + line(3, "other", job_id=OTHER))
    assert [text.split()[3] for text in log.new_lines()] == ["after"]


def test_a_full_disk_is_said_once_and_so_is_room(tmp_path, monkeypatch):
    said, free = [], [ROOM_BYTES]
    monkeypatch.setattr(log_disk, "_LOOK_S", 0.0)
    monkeypatch.setattr(log_disk, "_free_bytes", lambda _: free[-1])
    disk = LogDisk(tmp_path, said.append)
    for now_free in (ROOM_BYTES + 1, FULL_BYTES - 1, 0, ROOM_BYTES, ROOM_BYTES + 1, 2 * ROOM_BYTES):
        free.append(now_free)
        disk.look()
    assert ["has room again" in text for text in said] == [False, True]
    LogDisk(tmp_path / "missing", said.append).look()
