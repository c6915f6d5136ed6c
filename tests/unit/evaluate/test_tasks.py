"""Files of tasks: what is read, and what is said of one that is wrong."""

import json

import pytest

from web.evaluate import scoring, tasks
from web.evaluate.tasks import Task, TaskFileError

GOOD = {"id": "a", "question": "1 + 1?", "kind": "number", "answer": 2}


def written(tmp_path, *lines):
    file = tmp_path / "tasks.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


def test_tasks_are_read_in_order_and_empty_lines_passed_over(tmp_path):
    second = {**GOOD, "id": "b", "kind": "choice", "answer": "yes", "choices": ["yes", "no"]}
    read = tasks.read(written(tmp_path, GOOD, "", second))
    assert read == (
        Task("a", "1 + 1?", "number", 2),
        Task("b", "1 + 1?", "choice", "yes", ("yes", "no")),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON"),
        ("[]", "_schema: Invalid input type"),
        ({**GOOD, "answr": 2}, "answr: Unknown field"),
        ({"id": "a", "kind": "number", "answer": 2}, "question: Missing data"),
        ({**GOOD, "kind": "free"}, "kind: Must be one of: number, choice"),
        ({**GOOD, "answer": "two"}, "answer: must be a number"),
        ({**GOOD, "answer": True}, "answer: must be a number"),
        ({**GOOD, "kind": "choice", "answer": "F"}, "answer: must be one of the choices: A, B"),
        ({**GOOD, "kind": "exact", "answer": []}, "answer: must be a text, or a list"),
        ({**GOOD, "kind": "contains", "answer": " "}, "answer: must be a text, or a list"),
        ({**GOOD, "choices": ["A"]}, "choices: goes only with kind choice"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, line, said):
    with pytest.raises(TaskFileError, match=r"tasks\.jsonl, line 2: ") as refused:
        tasks.read(written(tmp_path, GOOD, line))
    assert said in str(refused.value)


def test_an_id_may_come_once(tmp_path):
    with pytest.raises(TaskFileError, match="line 2: id 'a' is there already"):
        tasks.read(written(tmp_path, GOOD, GOOD))


def test_a_file_without_tasks_and_one_that_is_not_there(tmp_path):
    with pytest.raises(TaskFileError, match="has no task"):
        tasks.read(written(tmp_path, ""))
    with pytest.raises(TaskFileError, match="cannot be read"):
        tasks.read(tmp_path / "none.jsonl")


def test_the_shipped_set_has_fifty_and_each_right_answer_scores():
    shipped = tasks.read(tasks.SHIPPED)
    assert len(shipped) == 50
    assert {task.kind for task in shipped} == set(tasks.KINDS)
    for task in shipped:
        rights = task.answer if task.kind in ("exact", "contains") else [task.answer]
        for right in [rights] if isinstance(rights, str) else rights:
            said = right if isinstance(right, str) else json.dumps(right)
            assert scoring.is_right(task, scoring.answer_of(task, f"{said}.")), task.id
        assert not scoring.is_right(task, scoring.answer_of(task, "I do not know.")), task.id
