"""The settings as documents: `docs/SETTINGS.md` and `.env.example`, made from the table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from workers.settings import display
from workers.settings.table import SUBJECTS, variables
from workers.settings.variable import Variable

_INTRODUCTION = """\
# Settings

You want to change how the service runs. Set an environment variable, or write a line into the file
`.env` of the directory that the service is started in:

```
INFERENCE_PORT=9000 inference-service up
inference-service config       # the effective values, and where each came from
```

- The environment wins over `.env`. An empty variable equals an unset one.
- Settings are read once, at start-up.
- A value that is not allowed stops start-up. So do two values that contradict each other. The
  message names the variable, its value and what is allowed.
- A name that looks like a setting and is none gets a warning with the nearest one.

This page is made from the tables in `workers/settings/` by `inference-service config --markdown`.
Change the tables, not this page. "Used from ... on" means: this version checks the value and does
nothing else with it.
"""

_EXAMPLE = """\
# Copy to .env in the directory the service is started in, and uncomment what you change. The
# environment wins over this file. Made by `inference-service config --env-example`; every setting
# is explained in docs/SETTINGS.md.
"""


def markdown() -> str:
    """The text of `docs/SETTINGS.md`."""
    parts = [_INTRODUCTION]
    for heading, subject in SUBJECTS.items():
        rows = [_row(variable, default) for _, variable, default in variables(subject)]
        head = "| Variable | Default | Allowed | Meaning |\n|---|---|---|---|\n"
        parts.append(f"## {heading}\n\n{head}" + "".join(rows))
    return "\n".join(parts)


def env_example() -> str:
    """The text of `.env.example`."""
    parts = [_EXAMPLE]
    for heading, subject in SUBJECTS.items():
        lines = [line for _, *entry in variables(subject) for line in _entry(*entry)]
        parts.append(f"# --- {heading} ---\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def default_text(variable: Variable, default: Any) -> str:
    """The value that holds while the variable is not set; "" where a sentence says it."""
    return "" if variable.unset else display.show(default)


def shown_default(variable: Variable, default: Any) -> str:
    """What holds while the variable is not set, as a page shows it."""
    text = default_text(variable, default)
    return f"`{text}`" if text else variable.unset or "not set"


def _row(variable: Variable, default: Any) -> str:
    shown = shown_default(variable, default)
    cells = [f"`{variable.name}`", shown, variable.kind.allowed, _meaning(variable)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _entry(variable: Variable, default: Any) -> Iterator[str]:
    text = _meaning(variable).replace("`", "")
    if variable.unset:
        text += f" Unset: {variable.unset}."
    yield from textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")
    yield f"#{variable.name}={default_text(variable, default)}"


def _meaning(variable: Variable) -> str:
    later = f" Used from {variable.used_from} on." if variable.used_from else ""
    return variable.meaning + later
