"""`inference-service evaluate` as its user runs it."""

import json

import pytest

from tests.support.front_end import MODEL
from tests.support.service import Service


def scripted(text, **steps):
    return json.dumps({"scripted": {"text": text, "steps": steps}})


NO_CHANGE = {"verdict": "no change", "score": 1, "defects": [], "contradictions": []}


@pytest.fixture
def tasks(tmp_path):
    """Two questions; the model alone gets the first right, and a revision the second."""
    critique = {"text": json.dumps(NO_CHANGE)}
    revise = {
        "text": json.dumps(
            {
                **NO_CHANGE,
                "verdict": "revise",
                "score": 0,
                "defects": [{"problem": "no", "quote": "5"}],
            }
        )
    }
    better = {"critique-1": revise, "revision-1": {"text": "4"}, "critique-2": critique}
    lines = [
        {
            "id": "one",
            "kind": "number",
            "answer": 4,
            "question": scripted("4", **{"critique-1": critique}),
        },
        {"id": "two", "kind": "number", "answer": 4, "question": scripted("5", **better)},
    ]
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def evaluate(service, presets, tasks, out, *options):
    """Run `evaluate` beside a service, to its end."""
    files = ("--tasks", str(tasks), "--out", str(out))
    return service.run("evaluate", *options, "--presets", presets, *files)


def test_what_runs_is_compared_and_what_cannot_is_told(scripted_service, tasks, tmp_path):
    out = tmp_path / "out"
    done = evaluate(scripted_service, "demo-single,demo-critique", tasks, out)
    assert done.returncode == 1
    assert "demo-critique did not run: smollm2-135m-b is" in done.stderr
    assert "up --preset demo-critique" in done.stderr
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith(MODEL))
    assert "1/2" in row
    answers = (out / "answers.jsonl").read_text()
    again = evaluate(scripted_service, "demo-single", tasks, out)
    assert (again.returncode, again.stderr) == (0, "")
    assert (out / "answers.jsonl").read_text() == answers
    job = json.loads(answers.splitlines()[1])["job"]
    assert scripted_service.get(f"/v1/jobs/{job}").json()["priority"] == 0


def test_it_starts_each_preset_and_stops_it(tasks, tmp_path):
    service = Service(tmp_path / "data", INFERENCE_BACKEND="scripted")
    out = tmp_path / "out"
    done = evaluate(service, "demo-critique", tasks, out, "--start")
    assert done.returncode == 0, done.stderr
    assert service.left_over() == []
    rows = json.loads((out / "report.json").read_text())["rows"]
    assert [(row["mode"], row["right"]) for row in rows] == [
        ("single", 1),
        ("self-consistency", 1),
        ("critique", 2),
    ]
    assert rows[2]["beside_single"]["better"] == 1
    assert "<svg" in (out / "report.html").read_text()


def test_start_needs_the_address_for_itself(scripted_service, tasks, tmp_path):
    done = evaluate(scripted_service, "demo-single", tasks, tmp_path / "out", "--start")
    assert done.returncode == 1
    assert "answers at" in done.stderr
    assert "leave out --start" in done.stderr


def test_what_was_typed_wrong_is_said(tasks, tmp_path):
    service = Service(tmp_path / "data", INFERENCE_BACKEND="scripted")

    def run(presets, file):
        return evaluate(service, presets, file, tmp_path / "out")

    unknown = run("demo-critic", tasks)
    assert unknown.returncode == 2
    assert "did you mean 'demo-critique'" in unknown.stderr
    tasks.write_text('{"id": "one"}\n')
    wrong = run("demo-single", tasks)
    assert wrong.returncode == 2
    assert "tasks.jsonl, line 1: " in wrong.stderr


def test_without_a_service_that_is_said(tasks, tmp_path):
    service = Service(tmp_path / "data", INFERENCE_BACKEND="scripted")
    done = evaluate(service, "demo-single", tasks, tmp_path / "out")
    assert done.returncode == 1
    assert "No service answers at" in done.stderr
