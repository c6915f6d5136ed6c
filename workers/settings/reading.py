"""Reading the settings: environment over `.env` over defaults; a bad value stops start-up."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dotenv

from workers.settings.table import Settings, Variable

#: Variables of this family that are not settings: they pass between our own processes.
INTERNAL = frozenset({"INFERENCE_SUPERVISOR_PID"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One variable that cannot be used as it is set."""

    variable: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.variable}={self.value!r} cannot be used; allowed: {self.allowed}"


class SettingsError(Exception):
    """One or more settings cannot be used; start-up stops."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def variables() -> Iterator[tuple[str, Variable, Any]]:
    """Field name, variable and default of every setting, in the table's order."""
    for entry in dataclasses.fields(Settings):
        if "variable" in entry.metadata:
            yield entry.name, entry.metadata["variable"], entry.default


def read(
    environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> Settings:
    """The effective settings.

    An empty variable equals an unset one.

    Raises:
        SettingsError: a variable's value is not allowed; names each, its value and what is.
    """
    environ = os.environ if environ is None else environ
    from_file = dotenv.dotenv_values(env_file) if env_file and env_file.is_file() else {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for name, variable, _default in variables():
        for source, texts in (("environment", environ), (".env", from_file)):
            text = texts.get(variable.name)
            if not text:
                continue
            try:
                values[name] = variable.kind.parse(text)
            except ValueError:
                shown = "***" if variable.secret else text
                problems.append(Problem(variable.name, shown, variable.kind.allowed))
            sources[name] = source
            break
        else:
            sources[name] = "default"
    if problems:
        raise SettingsError(problems)
    return Settings(**values, sources=sources)


def misspelt(environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """`INFERENCE_*` variables that no setting has, each with the nearest that one has."""
    known = {variable.name for _, variable, _ in variables()} | INTERNAL
    for name in sorted(environ):
        if name.startswith("INFERENCE_") and name not in known:
            # The prefix, which all share, would make everything look alike.
            endings = [one.removeprefix("INFERENCE_") for one in known]
            ending = name.removeprefix("INFERENCE_")
            near = difflib.get_close_matches(ending, endings, n=1, cutoff=0.6)
            yield name, f"INFERENCE_{near[0]}" if near else None
