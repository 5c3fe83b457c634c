"""What Grafana's dashboards are made of: panels, rows and variables as plain JSON, laid out by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_WIDTH = 24
"""Columns of Grafana's grid."""
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA = 39
"""Version of the JSON, which Grafana 10 to 12 read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression of PromQL and how its series are named; ``{{label}}`` is Grafana's notation."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; ``kind`` is ``timeseries`` or ``stat``, ``unit`` one of Grafana's names for units.

    ``stacked`` lays the series on one another. ``limits`` colour a value from there on: pairs of a value and a colour.
    ``words`` shows words in place of values.
    """

    title: str
    about: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False
    limits: Sequence[tuple[float, str]] = ()
    words: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels side by side below a heading; ``height`` in units of Grafana's grid."""

    title: str
    panels: Sequence[Panel]
    height: int = 8
    across: int = 3


def dashboard(*, uid: str, title: str, about: str, rows: Sequence[Row], one_dataset: bool) -> Json:
    """Lay rows out below one another; ``one_dataset`` asks for a single dataset instead of all of them."""
    panels: list[Json] = []
    top = 0
    for row in rows:
        panels.append({**_place(0, top, _WIDTH, 1), "type": "row", "title": row.title, "collapsed": False})
        top += 1
        width = _WIDTH // row.across
        for number, panel in enumerate(row.panels):
            line, column = divmod(number, row.across)
            panels.append(_panel(panel, _place(column * width, top + line * row.height, width, row.height)))
        top += row.height * -(-len(row.panels) // row.across)
    for number, made in enumerate(panels, start=1):
        made["id"] = number
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["kafka-timescale-sink"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,  # one cross-hair over all panels
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "links": [_LINKS],
        "templating": {"list": [_SOURCE, _label("job", every=True), _label("dataset", every=not one_dataset)]},
        "annotations": {"list": [_FIRING]},
        "panels": panels,
    }


_LINKS = {
    "type": "dashboards",
    "tags": ["kafka-timescale-sink"],
    "title": "sink",
    "asDropdown": False,
    "includeVars": True,
    "keepTime": True,
}
_SOURCE = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
_FIRING = {
    "name": "alerts",
    "datasource": _DATASOURCE,
    "enable": True,
    "iconColor": "red",
    "expr": 'ALERTS{alertname=~"Sink.*", alertstate="firing", job=~"$job"}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{dataset}} {{partition}}",
}


def _label(name: str, *, every: bool) -> Json:
    query = f"label_values(sink_messages_total, {name})"
    variable = {"name": name, "label": name, "type": "query", "datasource": _DATASOURCE, "refresh": 2, "sort": 1}
    variable |= {"definition": query, "query": {"query": query, "refId": name}, "multi": every, "includeAll": every}
    # not Grafana's list of all values: what is new since the page was loaded counts as well
    return variable | ({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if every else {})


def _place(x: int, y: int, width: int, height: int) -> Json:
    return {"gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _panel(panel: Panel, place: Json) -> Json:
    steps: list[Json] = [{"value": None, "color": "green" if panel.limits or panel.words else "text"}]
    steps += [{"value": value, "color": colour} for value, colour in panel.limits]
    defaults: Json = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.words:
        shown = {str(value): {"text": word, "index": index} for index, (value, word) in enumerate(panel.words)}
        defaults["mappings"] = [{"type": "value", "options": shown}]
    made = {
        **place,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query.expr, "legendFormat": query.legend, "range": True}
            | ({"datasource": _DATASOURCE, "editorMode": "code"})
            for number, query in enumerate(panel.queries)
        ],
    }
    options = _stat(defaults) if panel.kind == "stat" else _lines(defaults, stacked=panel.stacked)
    return {**made, "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}


def _stat(defaults: Json) -> Json:
    defaults["color"] = {"mode": "thresholds"}
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "area",
        "textMode": "value_and_name",
    }


def _lines(defaults: Json, *, stacked: bool) -> Json:
    defaults["color"] = {"mode": "palette-classic"}
    defaults["custom"] = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 60 if stacked else 8,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
