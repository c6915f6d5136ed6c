"""Reading the settings: environment over `.env` over defaults; a bad value stops start-up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dotenv

from workers.settings.contradictions import contradictions
from workers.settings.kinds import NotAllowed
from workers.settings.problems import Problem, SettingsError
from workers.settings.table import Settings, variables

ENV_FILE = Path(".env")


def read(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Settings:
    """The effective settings.

    An empty variable equals an unset one.

    Raises:
        SettingsError: a variable's value is not allowed, or two contradict each other; names
            each, its value and what is allowed.
    """
    environ = os.environ if environ is None else environ
    from_file = read_env_file(env_file)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for name, variable, _default in variables():
        for source, texts in (("environment", environ), (".env", from_file)):
            text = (texts.get(variable.name) or "").strip()
            if not text:
                continue
            try:
                values[name] = variable.kind.parse(text)
            except ValueError as error:
                hidden = variable.secret or (variable.kind.is_address and "@" in text)
                shown = "***" if hidden else text
                allowed = str(error) if isinstance(error, NotAllowed) else variable.kind.allowed
                problems.append(Problem(variable.name, shown, allowed))
            sources[name] = source
            break
        else:
            sources[name] = "default"
    if problems:
        raise SettingsError(problems)
    settings = Settings(**values, sources=sources)
    if conflicts := list(contradictions(settings)):
        raise SettingsError(conflicts)
    return settings


def read_env_file(file: Path | None) -> dict[str, str]:
    """The variables of a `.env` file; none where there is no file.

    Raises:
        SettingsError: the file cannot be read.
    """
    if file is None or not file.is_file():
        return {}
    try:
        values = dotenv.dotenv_values(file)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(str(file), str(error), "a readable text file")]) from error
    return {name: text for name, text in values.items() if text}
