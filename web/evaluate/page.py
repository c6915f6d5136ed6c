"""The report as one page of HTML that needs nothing from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from web.evaluate import plots
from web.evaluate.comparison import ResultRow
from web.evaluate.report import LEGEND, verdicts

_CHARTS = (
    ("Accuracy", plots.accuracy),
    ("Accuracy over tokens", plots.cost),
    ("Answers changed", plots.changes),
    ("Latency", plots.latency),
)


def render(report: Mapping[str, Any], rows: Sequence[ResultRow]) -> str:
    """The page; `report` and `rows` are the same evaluation's."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    charts = [(title, draw(rows)) for title, draw in _CHARTS] if rows else []
    return environment.get_template("page.html.jinja").render(
        report=report,
        # Built by ElementTree, which escapes.
        charts=[(title, Markup(svg)) for title, svg in charts if svg],  # nosec B704
        verdicts=verdicts(rows),
        legend=LEGEND,
    )
