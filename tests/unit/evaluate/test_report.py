"""Reports of an evaluation: table, object and page say the same, and the page needs nothing."""

import html.parser
import io
import json
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.support.fake_service import CRITIQUE, TASKS, FakeService, right
from web.evaluate import page, plots, report
from web.evaluate.asks import Options
from web.evaluate.comparison import ResultRow, compare, verdict
from web.evaluate.evaluation import Evaluation
from web.evaluate.ledger import Ledger
from web.evaluate.service import ServiceUnderTest
from web.evaluate.statistics import Change

STEPS = {"critique": [("generator", "a"), ("critic", "b")]}


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    """Alone the model is wrong where it should say 1 or 2; the pair is right."""

    def say(body):
        said = right(body)
        alone = body["orchestration_mode"] == "single"
        return "<b>0 & no</b>" if alone and said in "12" else said

    ledger = Ledger.open(tmp_path_factory.mktemp("report") / "answers.jsonl")
    made = Evaluation(TASKS, Options(max_tokens=8), ledger)
    with FakeService(say, steps=STEPS).client() as client:
        assert made.run(CRITIQUE, ServiceUnderTest(client), 2, lambda *_: None) is None
    return made


@pytest.fixture(scope="module")
def rows(evaluation):
    return compare(evaluation, [CRITIQUE])


@pytest.fixture(scope="module")
def evaluation_report(evaluation, rows):
    return report.report(evaluation, rows, {"later": "it is <missing>"}, "tasks.jsonl")


def test_the_object_is_json_and_whole(evaluation_report):
    assert json.loads(json.dumps(evaluation_report)) == evaluation_report
    single, vote, pair = evaluation_report["rows"]
    assert (single["right"], vote["right"], pair["right"]) == (2, 2, 4)
    assert pair["beside_single"] == {
        "better": 2,
        "worse": 0,
        "better_rate": 0.5,
        "worse_rate": 0.0,
        "p": 0.5,
    }
    assert pair["beside_consistency"]["better"] == 2
    assert vote["beside_consistency"] is None
    assert evaluation_report["options"] == {"max_tokens": 8}
    assert evaluation_report["skipped"] == [{"preset": "later", "reason": "it is <missing>"}]
    assert [question["id"] for question in evaluation_report["questions"]] == [
        task.id for task in TASKS
    ]
    assert evaluation_report["questions"][0]["answers"]["a"] == {
        "text": "<b>0 & no</b>",
        "said": "0",
        "right": False,
        "completion_tokens": 5,
        "latency_s": pytest.approx(0, abs=5),
    }


def test_the_table_says_what_the_object_says(rows):
    console = Console(width=200, record=True, file=io.StringIO())
    (table,) = report.tables(rows, 200)
    console.print(table)
    lines = console.export_text().splitlines()
    assert "2/4" in lines[1]
    assert "10 (2.0 x)" in lines[3]
    assert "+2 -0 0.50" in lines[3]


def test_at_80_columns_the_table_is_two(rows):
    console = Console(width=80, record=True, file=io.StringIO())
    for table in report.tables(rows, 80):
        console.print(table)
    lines = console.export_text().splitlines()
    assert len(lines) == 2 * (1 + len(rows))
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "at equal tokens + - p" in lines[1 + len(rows)]
    assert "…" not in "".join(lines)


class Addresses(html.parser.HTMLParser):
    """Whatever a page would fetch, and the classes and texts of it."""

    def __init__(self):
        super().__init__()
        self.fetched, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data):
        self.text += data


def test_the_page_fetches_nothing_and_escapes_what_models_said(evaluation_report, rows):
    written = page.render(evaluation_report, rows)
    addresses = Addresses()
    addresses.feed(written)
    assert addresses.fetched == []
    assert {"script", "link", "img", "b"}.isdisjoint(addresses.tags)
    assert "url(" not in written
    assert "<b>0 & no</b>" in addresses.text
    assert "it is <missing>" in addresses.text
    assert addresses.tags.count("svg") == 4


def test_a_page_without_rows_says_what_did_not_run(evaluation):
    evaluation_report = report.report(evaluation, [], {"later": "it is missing"}, "tasks.jsonl")
    addresses = Addresses()
    addresses.feed(page.render(evaluation_report, []))
    assert "it is missing" in addresses.text
    assert "svg" not in addresses.tags


@pytest.mark.parametrize("draw", [plots.accuracy, plots.cost, plots.changes, plots.latency])
def test_plots_stay_within_their_frames_and_name_their_marks(draw, rows):
    svg = ElementTree.fromstring(draw(rows))
    _, _, width, height = map(float, svg.get("viewBox").split())
    marks = 0
    for element in svg.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.get(name, 0)) <= height
        marks += element.tag == "title"
    assert marks >= 2
    assert svg.get("aria-label")


@pytest.mark.parametrize(
    ("single", "consistency", "said"),
    [
        (Change(50, 10, 0), Change(50, 10, 1), "pays: better than its lead alone, and than"),
        (Change(50, 10, 0), Change(50, 3, 3), "not shown to be better than self-consistency"),
        (Change(50, 0, 10), Change(50, 3, 3), "does not pay: worse than its lead alone"),
        (Change(50, 3, 3), Change(50, 0, 10), "does not pay: worse than self-consistency"),
        (Change(50, 3, 2), Change(50, 2, 3), "does not pay: no difference"),
    ],
)
def test_verdicts(single, consistency, said):
    row = ResultRow("p", "critique", "a", "p", 1, (), single, consistency)
    assert said in verdict(row)
    assert verdict(ResultRow("a", "single", "a", None, 1, ())) == ""
