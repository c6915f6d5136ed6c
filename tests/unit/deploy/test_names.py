"""Alerts and dashboards ask for what is exported, by its labels."""

import json
import re
from pathlib import Path

import pytest
import yaml

from workers.metrics.instruments import INSTRUMENTS, Kind

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
NAME = re.compile(r"\b(?:up|(?:inference|gen_ai|http)_\w+)\b")
#: `{...}` of a selector, and the labels of a grouping.
SELECTOR = re.compile(r"\{([^}]*)\}")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")
QUOTED = re.compile(r'"[^"]*"')
#: What Prometheus adds itself.
OF_PROMETHEUS = {"up": {"job", "instance"}}


def exported():
    """Name -> labels of every sample. OBSERVE.md has them all: test_metrics.py holds that."""
    page = (ROOT / "docs/OBSERVE.md").read_text()
    of_state = re.findall(r"^\| `(inference_[a-z_]+)` \|([^|]*)\|", page, re.M)
    samples = dict(OF_PROMETHEUS)
    for name, cell in of_state:
        samples[name] = set(re.findall(r"`(\w+)`", cell))
    for name, instrument in INSTRUMENTS.items():
        samples.pop(name, None)
        parts = ["_total"] if instrument.kind is Kind.COUNTER else ["_bucket", "_sum", "_count"]
        for part in parts:
            samples[name + part] = {*instrument.labels, *(["le"] if part == "_bucket" else [])}
    return samples


def alerts():
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def panels():
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]


def expressions():
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())
    yield from panels()


def labels_in(expression):
    """The labels that an expression selects by or groups by."""
    bare = QUOTED.sub('""', expression)
    selected = (part.strip() for found in SELECTOR.findall(bare) for part in found.split(","))
    grouped = (part.strip() for found in GROUPING.findall(bare) for part in found.split(","))
    return {re.match(r"\w+", part)[0] for part in selected if part} | set(grouped)


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=lambda value: value[:40])
def test_every_name_and_label_is_exported(where, expression):
    samples = exported()
    bare = GROUPING.sub("", SELECTOR.sub("", QUOTED.sub("", expression)))
    names = set(NAME.findall(bare))
    assert names, where
    assert names <= samples.keys()
    assert labels_in(expression) <= set().union(*(samples[name] for name in names))


def test_an_alert_says_what_is_wrong_and_what_to_do():
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert len(rule["annotations"]["summary"]) > 20
        assert len(rule["annotations"]["runbook"]) > 20


def test_the_operators_page_has_every_alert():
    page = (ROOT / "docs/OPERATE.md").read_text().partition("\n## Alerts\n")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == {rule["alert"] for rule in alerts()}


def test_a_wrong_name_and_a_wrong_label_are_seen():
    assert "inference_nothing_total" not in exported()
    assert labels_in('sum by (a, b) (x{c="1",d!~"2|{"}) unless on (e) y') == set("abcde")


def test_there_are_the_dashboards_and_a_file_that_uses_the_rules():
    assert [file.stem for file in DASHBOARDS] == ["model", "orchestration", "overview"]
    example = yaml.safe_load((ALERTS.parent / "prometheus.yml").read_text())
    assert example["rule_files"] == [ALERTS.name]
    assert example["scrape_configs"][0]["job_name"] == "inference-service"
    assert 'job="inference-service"' in ALERTS.read_text()
