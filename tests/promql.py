"""What deploy/ says in PromQL: the rules, the expressions of the dashboards, and the series that they name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy/prometheus/rules.yml"
RULE_TESTS = tuple(sorted((ROOT / "deploy/prometheus").glob("rules*_test.yml")))
DASHBOARDS = tuple(sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")))

_METRIC = r"(?:job_dataset:)?(?:sink_|process_|python_)[a-zA-Z0-9_:]+|up"
_SELECTOR = re.compile(rf"(?<![\w:$\"])({_METRIC})(?![\w:(])(\{{[^}}]*\}})?")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right) *\([^)]*\)")
_STRING = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An expression of a dashboard."""

    dashboard: str
    panel: str
    expr: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expr}"


def rules() -> list[dict[str, Any]]:
    """Read all rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Read the alerts, by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def shown(job: str, dataset: str) -> list[Shown]:
    """Read the expressions of the dashboards, as Grafana sends them where these are chosen."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expr = target["expr"].replace("$job", job).replace("$dataset", dataset)
                found.append(
                    Shown(dashboard=path.stem, panel=panel["title"], expr=expr.replace("$__rate_interval", "1m"))
                )
    return found


def selectors(expr: str) -> set[str]:
    """Find the series that an expression names, each as a selector of its own."""
    bare = _GROUPING.sub("", expr)
    return {metric + (labels or "") for metric, labels in _SELECTOR.findall(bare)}


def names(expr: str) -> set[str]:
    """Find the metrics that an expression names."""
    return {selector.partition("{")[0] for selector in selectors(_STRING.sub('""', expr))}
