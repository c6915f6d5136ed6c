"""Results as a table on the terminal and as JSON in `results/`."""

import json
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def print_table(name: str, result: dict) -> None:
    RESULTS.mkdir(exist_ok=True)
    row = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", **result}
    (RESULTS / f"{name.replace(' ', '_')}.json").write_text(json.dumps(row, indent=2) + "\n")
    print(f"\n{name}")
    for key, value in row.items():
        print(f"  {key:<60} {_shown(value)}")


def _shown(value) -> str:
    if isinstance(value, list):
        return " / ".join(_shown(item) for item in value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)
