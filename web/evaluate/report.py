"""The report of an evaluation: as an object for programs, and as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from web.evaluate.comparison import ResultRow, verdict
from web.evaluate.evaluation import MOST_SAMPLES, Evaluation
from web.evaluate.statistics import Change

#: Version of the object; it grows when a field changes its meaning or goes.
VERSION = 1
#: From this width on all columns have room beside each other; below it, so many are in the first of
#: two tables.
_WIDE, _FIRST_COLUMNS = 140, 4
#: What the columns mean, for those who read the table.
LEGEND = (
    "accuracy: share of right answers, with the interval in which it lies at 95 % (Wilson)",
    "tokens: completion tokens of all steps for an answer, and how often the lead's own",
    "s: seconds from request to end under this evaluation's own load; of self-consistency the "
    "slowest of its answers, as if they were sent at once",
    "+ and -: questions that were wrong and are right, that were right and are wrong; p: how "
    "likely a difference this large is by chance (McNemar's exact test)",
    "at equal tokens: beside the majority of as many answers of the lead as cost the same",
)


def report(
    evaluation: Evaluation, rows: Sequence[ResultRow], skipped: Mapping[str, str], tasks_file: str
) -> dict[str, Any]:
    """The whole evaluation: rows, why presets are not among them, and every question."""
    return {
        "version": VERSION,
        "tasks": {"file": tasks_file, "count": len(evaluation.tasks)},
        "options": evaluation.options.to_dict(),
        "rows": [_row(row) for row in rows],
        "skipped": [{"preset": name, "reason": reason} for name, reason in skipped.items()],
        "questions": [_question(rows, at) for at in range(len(evaluation.tasks))] if rows else [],
    }


def tables(rows: Sequence[ResultRow], width: int) -> list[Table]:
    """The rows, side by side: in one table, or in two where `width` has no room for one."""
    names = [row.name for row in rows]
    columns = _columns(rows)
    parts = [columns] if width >= _WIDE else [columns[:_FIRST_COLUMNS], columns[_FIRST_COLUMNS:]]
    made = []
    for part in parts:
        table = Table(box=None, pad_edge=False)
        table.add_column("", overflow="fold")
        for title, _ in part:
            table.add_column(title, justify="left" if title == "mode" else "right", no_wrap=True)
        for cells in zip(names, *(cells for _, cells in part), strict=True):
            table.add_row(*cells)
        made.append(table)
    return made


def _columns(rows: Sequence[ResultRow]) -> list[tuple[str, list[str]]]:
    """The titles, and of each the cells of all rows."""
    by_name = {row.name: row for row in rows}

    def accuracy(row: ResultRow) -> str:
        low, high = row.interval
        return f"{row.accuracy:.0%} ({low:.0%} to {high:.0%})"

    def tokens(row: ResultRow) -> str:
        times = row.completion_tokens / max(1.0, by_name[row.model].completion_tokens)
        return f"{row.completion_tokens:.0f} ({times:.1f} x)"

    shown: dict[str, Callable[[ResultRow], str]] = {
        "mode": lambda row: row.mode,
        "right": lambda row: f"{row.right}/{len(row.answers)}",
        "accuracy": accuracy,
        "failed": lambda row: str(row.failed or ""),
        "tokens": tokens,
        "s p50/p95": _seconds,
        "vs lead + - p": lambda row: _change(row.beside_single),
        "at equal tokens + - p": lambda row: _change(row.beside_consistency),
    }
    return [(title, [cell(row) for row in rows]) for title, cell in shown.items()]


def verdicts(rows: Sequence[ResultRow]) -> list[str]:
    """A sentence for each preset, and what else a reader of the table must know."""
    sentences = [f"{row.name}: {said}" for row in rows if (said := verdict(row))]
    if any(row.samples == MOST_SAMPLES for row in rows):
        sentences.append(
            f"self-consistency stops at {MOST_SAMPLES} answers: it has fewer tokens there"
        )
    failed = sum(row.failed for row in rows)
    if failed:
        sentences.append(
            f"{failed} jobs failed and count as wrong. The same command asks them again"
        )
    return sentences


def _seconds(row: ResultRow) -> str:
    middle, late = row.latency_s(0.5), row.latency_s(0.95)
    return "" if middle is None or late is None else f"{middle:.1f}/{late:.1f}"


def _change(changed: Change | None) -> str:
    if changed is None:
        return ""
    p = f"{changed.p:.2f}" if changed.p >= 0.005 else "< 0.01"
    return f"+{changed.better} -{changed.worse} {p}"


def _row(row: ResultRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "mode": row.mode,
        "model": row.model,
        "preset": row.preset,
        "samples": row.samples,
        "answered": len(row.answers),
        "right": row.right,
        "failed": row.failed,
        "accuracy": round(row.accuracy, 4),
        "interval_95": [round(end, 4) for end in row.interval],
        "completion_tokens": round(row.completion_tokens, 1),
        "prompt_tokens": round(row.prompt_tokens, 1),
        "latency_s": {"p50": row.latency_s(0.5), "p95": row.latency_s(0.95)},
        "beside_single": _beside(row.beside_single),
        "beside_consistency": _beside(row.beside_consistency),
        "verdict": verdict(row) or None,
    }


def _beside(changed: Change | None) -> dict[str, Any] | None:
    if changed is None:
        return None
    return {
        "better": changed.better,
        "worse": changed.worse,
        "better_rate": round(changed.better / changed.of, 4),
        "worse_rate": round(changed.worse / changed.of, 4),
        "p": round(changed.p, 4),
    }


def _question(rows: Sequence[ResultRow], at: int) -> dict[str, Any]:
    task = rows[0].answers[at].task
    return {
        "id": task.id,
        "kind": task.kind,
        "question": task.question,
        "answer": task.answer,
        "answers": {
            row.name: {
                "text": row.answers[at].text,
                "said": row.answers[at].said,
                "right": row.answers[at].right,
                "completion_tokens": row.answers[at].completion_tokens,
                "latency_s": row.answers[at].latency_s,
            }
            for row in rows
        },
    }
