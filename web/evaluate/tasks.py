"""Tasks: questions whose right answers are known, one JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

#: The set that ships: 50 small questions.
SHIPPED = Path(__file__).with_name("questions.jsonl")
#: How an answer is compared; `scoring` has the rules.
KINDS = ("number", "choice", "exact", "contains", "json")
#: What may be chosen where a task of kind `choice` does not say it.
LETTERS = ("A", "B", "C", "D", "E")


class TaskFileError(ValueError):
    """A file of tasks cannot be used; the message names file, line and field."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question. It is sent as it stands: what form the answer is to have, it says itself."""

    id: str
    question: str
    kind: str
    #: A number, a text, a list of texts any of which is right (`exact`, `contains`), or any value
    #: (`json`).
    answer: Any
    #: Of kind `choice`: what may be chosen.
    choices: tuple[str, ...] = LETTERS


class _TaskSchema(Schema):
    class Meta:
        """Marshmallow's options."""

        unknown = RAISE

    id = fields.String(required=True, validate=validate.Length(1, 100))
    question = fields.String(required=True, validate=validate.Length(min=1))
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    answer = fields.Raw(required=True)
    choices = fields.List(fields.String(validate=validate.Length(min=1)))

    @validates_schema
    def _check(self, data: dict[str, Any], **_: Any) -> None:
        kind, answer = data["kind"], data["answer"]
        if "choices" in data and kind != "choice":
            raise ValidationError("goes only with kind choice", "choices")
        if kind == "number" and (isinstance(answer, bool) or not isinstance(answer, int | float)):
            raise ValidationError("must be a number", "answer")
        if kind == "choice" and answer not in data.get("choices", LETTERS):
            known = ", ".join(data.get("choices", LETTERS))
            raise ValidationError(f"must be one of the choices: {known}", "answer")
        texts = answer if isinstance(answer, list) else [answer]
        usable = bool(texts) and all(isinstance(text, str) and text.strip() for text in texts)
        if kind in ("exact", "contains") and not usable:
            raise ValidationError("must be a text, or a list of texts", "answer")


def read(file: Path) -> tuple[Task, ...]:
    """The tasks of a file, in its order.

    Raises:
        TaskFileError: it cannot be read, a line is wrong, an id comes twice, or it has no task.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TaskFileError(f"{file} cannot be read: {error}") from None
    tasks: dict[str, Task] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        task = _task(line, f"{file}, line {number}")
        if task.id in tasks:
            raise TaskFileError(f"{file}, line {number}: id {task.id!r} is there already")
        tasks[task.id] = task
    if not tasks:
        raise TaskFileError(f"{file} has no task")
    return tuple(tasks.values())


def _task(line: str, where: str) -> Task:
    try:
        fields_ = _TaskSchema().loads(line)
    except ValidationError as error:
        problems = error.normalized_messages()
        name, problem = next(iter(problems.items()))
        text = problem[0] if isinstance(problem, list) else problem
        raise TaskFileError(f"{where}: {name}: {text}") from None
    except ValueError as error:
        raise TaskFileError(f"{where}: no JSON ({error})") from None
    choices = tuple(fields_.pop("choices", LETTERS))
    return Task(choices=choices, **fields_)
