"""Alerts, their pages, their tests and the metrics that they ask for belong together."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
import yaml

from sink.metrics import REGISTRY
from tests.promql import ROOT, RULE_TESTS, alerts, names, rules, selectors, shown

RUNBOOK = ROOT / "docs/runbook"
SECTIONS = ["Symptom", "Cause", "What to look at", "What to do", "It resolves"]


def metrics() -> set[str]:
    """Name everything that the sink's registry, Prometheus and our own records tell."""
    told = {"up", *(rule["record"] for rule in rules() if "record" in rule)}
    for metric in REGISTRY.collect():
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
        told |= {metric.name + ending for ending in endings.get(metric.type, [""])}
    return told


@pytest.mark.parametrize("alert", alerts())
def test_each_alert_says_how_bad_it_is_and_has_a_page_that_answers_the_five_questions(alert: str) -> None:
    rule = alerts()[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook/{alert}.md"
    page = (RUNBOOK / f"{alert}.md").read_text()
    assert page.startswith(f"# {alert}\n\n{rule['labels']['severity'].title()}. Fires when ")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        assert section.partition("\n")[2].strip(), section


def test_there_is_no_page_without_an_alert_and_the_list_has_all_with_their_severity() -> None:
    assert {path.stem for path in RUNBOOK.glob("*.md")} - {"README"} == set(alerts())
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (RUNBOOK / "README.md").read_text(), re.MULTILINE)
    assert listed == [(name, name, rule["labels"]["severity"]) for name, rule in sorted(alerts().items())]


def test_each_alert_is_shown_firing_and_keeping_quiet() -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for path in RULE_TESTS:
        for group in yaml.safe_load(path.read_text())["tests"]:
            for check in group.get("promql_expr_test", ()):
                for alert in re.findall(r'alertname="(\w+)"', check["expr"]):
                    seen[alert].add("fires" if check["exp_samples"] else "quiet")
    assert seen == {alert: {"fires", "quiet"} for alert in alerts()}


def test_rules_and_dashboards_ask_for_metrics_that_there_are() -> None:
    known = metrics()
    for rule in rules():
        assert names(rule["expr"])
        assert names(rule["expr"]) <= known, rule
    for query in shown(job=".*", dataset=".*"):
        assert names(query.expr) <= known, query


def test_every_metric_of_ours_is_shown_somewhere() -> None:
    """What nobody looks at need not be collected."""
    asked = set().union(*(names(query.expr) for query in shown(job=".*", dataset=".*")))
    asked |= set().union(*(names(rule["expr"]) for rule in rules()))
    looked_at = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in metrics() if name.startswith("sink_")}
    assert ours <= looked_at


def test_series_are_found_in_an_expression() -> None:
    expr = 'sum by (job, up) (rate(sink_rows_total{a="x", b=~"$c"}[5m])) > 2 and on (job) job_dataset:sink_lag:sum == 0'
    assert selectors(expr) == {'sink_rows_total{a="x", b=~"$c"}', "job_dataset:sink_lag:sum"}
    assert names(expr) == {"sink_rows_total", "job_dataset:sink_lag:sum"}
