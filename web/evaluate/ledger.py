"""The ledger: every answer that a service gave, one JSON object a line, so that nothing is asked
twice.

Only texts and what they cost are kept; whether they are right is judged anew each time.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from web.evaluate.asks import Ask

_VERSION = 1


class LedgerError(ValueError):
    """The file is no ledger; the message says what is wrong with which line."""


@dataclass(frozen=True, slots=True)
class LedgerAnswer:
    """What came back for one ask."""

    #: `Ask.digest`.
    asked: str
    job: str
    text: str
    prompt_tokens: int
    #: Of all steps.
    completion_tokens: int
    #: From the request to the end of the job; None where it was not watched from its beginning.
    latency_s: float | None
    steps: int
    finish_reason: str
    #: Code and message of a job that did not complete; its text is empty.
    error: tuple[str, str] | None = None


class Ledger:
    """Answers by what was asked. One process writes it."""

    def __init__(self, file: Path, run: str) -> None:
        self._file = file
        #: Distinguishes this evaluation's jobs from another's.
        self.run = run
        self._answers: dict[str, LedgerAnswer] = {}
        self._failures: Counter[str] = Counter()

    @classmethod
    def open(cls, file: Path) -> Ledger:
        """Read a ledger, or begin one.

        A last line that was not written to its end is dropped: its writer was killed.

        Raises:
            LedgerError: the file is no ledger, or cannot be read or written.
        """
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                return cls._begin(file)
            raw = file.read_bytes()
            whole, cut, torn = raw.rpartition(b"\n")
            if torn:
                with file.open("r+b") as ledger:
                    ledger.truncate(len(whole) + len(cut))
        except OSError as error:
            raise LedgerError(f"{file} cannot be used: {error.strerror or error}") from None
        lines = whole.splitlines()
        if not lines:
            return cls._begin(file)
        ledger_ = cls(file, _header(file, lines[0]))
        for number, line in enumerate(lines[1:], start=2):
            ledger_._note(_answer(file, number, line))
        return ledger_

    @classmethod
    def _begin(cls, file: Path) -> Ledger:
        ledger = cls(file, uuid.uuid4().hex)
        header = {"evaluation": ledger.run, "version": _VERSION}
        file.write_text(json.dumps(header) + "\n", encoding="utf-8")
        return ledger

    def get(self, ask: Ask) -> LedgerAnswer | None:
        """The last answer to this ask."""
        return self._answers.get(ask.digest)

    def lacks(self, ask: Ask) -> bool:
        """Whether it is still to be asked: never answered, or with an error."""
        answer = self.get(ask)
        return answer is None or answer.error is not None

    def key(self, ask: Ask) -> str:
        """The Idempotency-Key of an ask: it changes when a job has failed, and then only."""
        return f"evaluate-{self.run}-{ask.digest}-{self._failures[ask.digest]}"

    def add(self, ask: Ask, answer: LedgerAnswer) -> None:
        """Keep an answer, on disk before it returns."""
        about = {
            "preset": ask.preset,
            "model": ask.model,
            "task": ask.task.id,
            "sample": ask.sample,
        }
        with self._file.open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps({**about, **asdict(answer)}, ensure_ascii=False) + "\n")
        self._note(answer)

    def _note(self, answer: LedgerAnswer) -> None:
        self._answers[answer.asked] = answer
        self._failures[answer.asked] += answer.error is not None


def _header(file: Path, line: bytes) -> str:
    try:
        header = json.loads(line)
        run, version = str(header["evaluation"]), header["version"]
    except (ValueError, KeyError, TypeError):
        raise LedgerError(f"{file} has no answers in it; name another --out") from None
    if version != _VERSION:
        raise LedgerError(f"{file} is of version {version}; this version writes {_VERSION}")
    return run


def _answer(file: Path, number: int, line: bytes) -> LedgerAnswer:
    try:
        fields: dict[str, Any] = json.loads(line)
        for name in ("preset", "model", "task", "sample"):
            del fields[name]
        error = fields.pop("error")
        return LedgerAnswer(**fields, error=tuple(error) if error else None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"{file}, line {number}: no answer ({error})") from None
