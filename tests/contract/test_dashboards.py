"""The committed dashboards are what deploy/grafana makes, and each panel can be read without asking its author."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.grafana.build import DIRECTORY, build, text_of


def panels(name: str) -> list[dict[str, Any]]:
    """Give a dashboard's panels without the headings of its rows."""
    return [panel for panel in build()[name]["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_code_makes() -> None:
    """Mended with: python -m deploy.grafana.build."""
    assert {path.stem: path.read_text() for path in DIRECTORY.glob("*.json")} == {
        name: text_of(made) for name, made in build().items()
    }


@pytest.mark.parametrize("name", build())
def test_each_panel_has_a_unit_a_sentence_and_series_with_names(name: str) -> None:
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].strip()
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        assert all("$job" in t["expr"] or "ALERTS" in t["expr"] for t in panel["targets"]), panel["title"]


@pytest.mark.parametrize("name", build())
def test_no_panel_lies_on_another_or_beyond_the_grid(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in build()[name]["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_dashboards_and_panels_are_told_apart() -> None:
    assert len({made["uid"] for made in build().values()}) == len(build())
    for made in build().values():
        numbers = [panel["id"] for panel in made["panels"]]
        assert len(set(numbers)) == len(numbers)
        assert {variable["name"] for variable in made["templating"]["list"]} == {"datasource", "job", "dataset"}
        json.dumps(made)
