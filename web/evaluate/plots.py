"""Plots of an evaluation as SVG elements. Colours are the page's classes; every mark is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# It writes XML and reads none.
from xml.etree import ElementTree  # nosec B405
from xml.etree.ElementTree import Element, SubElement  # nosec B405

from web.evaluate.comparison import ResultRow

#: Of every plot, in the units of its view box; the names stand in the left part.
WIDTH, _NAMES, _RIGHT = 760, 210, 60
_ROW, _TOP, _AXIS = 34, 10, 34
_PLOT = WIDTH - _NAMES - _RIGHT
#: About how wide a letter is.
_LETTER = 8

Scale = Callable[[float], float]


def accuracy(rows: Sequence[ResultRow]) -> str:
    """Each row's accuracy as a point, its interval as a line."""
    x = _scale(1.0)
    svg = _chart(rows, "Accuracy with 95 % intervals", [i / 4 for i in range(5)], x, _percent)
    for row, y in _lines(rows):
        low, high = row.interval
        title = f"{row.name}: {_percent(row.accuracy)}, {_percent(low)} to {_percent(high)}"
        _line(svg, x(low), y, x(high), y, f"whisker {_kind(row)}", title)
        _dot(svg, x(row.accuracy), y, _kind(row), title)
        _text(svg, x(high) + 8, y, _percent(row.accuracy), "value")
    return _written(svg)


def cost(rows: Sequence[ResultRow]) -> str:
    """Each row's accuracy over its completion tokens: up and to the left is better."""
    height = 320
    most = _round_up(max(row.completion_tokens for row in rows))
    edge, bottom = 60, height - 50
    svg = _svg(height, "Accuracy against completion tokens of an answer")

    def x(tokens: float) -> float:
        return edge + (WIDTH - edge - 150) * tokens / most

    def y(share: float) -> float:
        return bottom - (bottom - 20) * share

    for at in range(5):
        _line(svg, edge, y(at / 4), x(most), y(at / 4), "grid")
        _text(svg, edge - 8, y(at / 4), _percent(at / 4), "tick", "end")
        _text(svg, x(most * at / 4), bottom + 18, f"{most * at / 4:g}", "tick", "middle")
    _text(svg, x(most / 2), bottom + 38, "completion tokens of an answer", "tick", "middle")
    taken: list[tuple[float, float, float]] = []
    for row in rows:
        at_x, at_y = x(row.completion_tokens), y(row.accuracy)
        title = f"{row.name}: {_percent(row.accuracy)} for {row.completion_tokens:.0f} tokens"
        _dot(svg, at_x, at_y, _kind(row), title)
        left, label = at_x + 10, at_y
        right = left + _LETTER * len(row.name)
        # A label that would cover another goes above it.
        while any(
            abs(label - other) < 15 and left < end and begin < right for begin, end, other in taken
        ):
            label -= 15
        taken.append((left, right, label))
        _text(svg, left, label, row.name, "value")
    return _written(svg)


def changes(rows: Sequence[ResultRow]) -> str:
    """What each row changes beside its lead alone: the worse to the left, the better right."""
    changed = [(row, row.beside_single) for row in rows if row.beside_single is not None]
    if not changed:
        return ""
    most = max(1, *(max(change.better, change.worse) for _, change in changed))
    half = _PLOT / 2
    middle = _NAMES + half

    def x(count: float) -> float:
        return middle + (half - 40) * count / most

    svg = _svg(_TOP + _ROW * len(changed) + _AXIS, "Answers changed beside the lead alone")
    for at, (row, change) in enumerate(changed):
        y = _TOP + _ROW * (at + 0.5)
        _text(svg, _NAMES - 12, y, row.name, "name", "end")
        for count, side, kind in ((change.worse, -1, "worse"), (change.better, 1, "better")):
            title = f"{row.name}: {count} of {change.of} {kind}"
            _bar(svg, x(0) if side > 0 else x(-count), y, abs(x(count) - x(0)), kind, title)
            anchor = "start" if side > 0 else "end"
            _text(svg, x(side * count) + side * 6, y, str(count), "value", anchor)
    bottom = _TOP + _ROW * len(changed)
    _line(svg, middle, _TOP, middle, bottom, "axis")
    _text(svg, middle - 10, bottom + 20, "worse", "tick", "end")
    _text(svg, middle + 10, bottom + 20, "better", "tick", "start")
    return _written(svg)


def latency(rows: Sequence[ResultRow]) -> str:
    """Half of the answers came within the bar, 95 % within the line."""
    timed = [row for row in rows if row.latency_s(0.5) is not None]
    if not timed:
        return ""
    most = _round_up(max(row.latency_s(0.95) or 0.0 for row in timed))
    x = _scale(most)
    svg = _chart(timed, "Latency", [most * i / 4 for i in range(5)], x, lambda s: f"{s:g} s")
    for row, y in _lines(timed):
        middle, late = row.latency_s(0.5) or 0.0, row.latency_s(0.95) or 0.0
        title = f"{row.name}: p50 {middle:.1f} s, p95 {late:.1f} s"
        _bar(svg, x(0), y, x(middle) - x(0), _kind(row), title)
        _line(svg, x(middle), y, x(late), y, f"whisker {_kind(row)}", title)
        _text(svg, x(late) + 8, y, f"{middle:.1f} s", "value")
    return _written(svg)


def _kind(row: ResultRow) -> str:
    if row.preset is not None:
        return "preset"
    return "single" if row.samples == 1 else "vote"


def _chart(
    rows: Sequence[ResultRow],
    title: str,
    ticks: Sequence[float],
    x: Scale,
    label: Callable[[float], str],
) -> Element:
    bottom = _TOP + _ROW * len(rows)
    svg = _svg(bottom + _AXIS, title)
    for tick in ticks:
        _line(svg, x(tick), _TOP, x(tick), bottom, "grid")
        _text(svg, x(tick), bottom + 20, label(tick), "tick", "middle")
    for row, y in _lines(rows):
        _text(svg, _NAMES - 12, y, row.name, "name", "end")
    return svg


def _lines(rows: Sequence[ResultRow]) -> list[tuple[ResultRow, float]]:
    return [(row, _TOP + _ROW * (at + 0.5)) for at, row in enumerate(rows)]


def _scale(most: float) -> Scale:
    return lambda value: _NAMES + _PLOT * value / most


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _round_up(value: float) -> float:
    """The next number of the form 1, 2, 4 or 8 times a power of ten: its quarters are short."""
    step = 0.1
    while True:
        for factor in (1, 2, 4, 8):
            if value <= step * factor:
                return step * factor
        step *= 10


def _svg(height: float, title: str) -> Element:
    svg = Element("svg", viewBox=f"0 0 {WIDTH} {height:g}", role="img")
    svg.set("aria-label", title)
    return svg


def _line(
    svg: Element, x1: float, y1: float, x2: float, y2: float, kind: str, title: str = ""
) -> None:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    line = SubElement(svg, "line", {name: f"{end:.1f}" for name, end in ends.items()})
    line.set("class", kind)
    _title(line, title)


def _dot(svg: Element, x: float, y: float, kind: str, title: str) -> None:
    dot = SubElement(svg, "circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="6")
    dot.set("class", f"dot {kind}")
    _title(dot, title)


def _bar(svg: Element, x: float, y: float, width: float, kind: str, title: str) -> None:
    bar = SubElement(svg, "rect", x=f"{x:.1f}", y=f"{y - 9:.1f}", width=f"{width:.1f}", height="18")
    bar.set("class", f"bar {kind}")
    _title(bar, title)


def _text(svg: Element, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "dy": "0.35em", "text-anchor": anchor}
    label = SubElement(svg, "text", place)
    label.set("class", kind)
    label.text = text


def _title(element: Element, title: str) -> None:
    if title:
        SubElement(element, "title").text = title


def _written(svg: Element) -> str:
    return ElementTree.tostring(svg, encoding="unicode")
