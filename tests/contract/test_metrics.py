"""docs/metrics.md says what the code says, and names follow Prometheus' conventions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sink import metrics
from sink.http.reference import explained, page

ROOT = Path(__file__).parents[2]
OWN = [one for section in metrics.SECTIONS.values() for one in section]
UNBOUNDED = {"offset", "topic", "symbol", "key", "error", "owner", "schema"}


def test_the_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == page(), "write it anew with: make docs"


def test_every_metric_of_the_registry_is_explained() -> None:
    given = {family.name for family in metrics.REGISTRY.collect()}
    assert given == {re.sub("_(total|info)$", "", one.name) for one in explained()}


@pytest.mark.parametrize("one", OWN, ids=lambda one: one.name)
def test_names_follow_the_conventions(one: metrics.Explained) -> None:
    assert one.name.startswith("sink_")
    assert one.name.endswith("_total") == (one.type == "counter")
    assert not UNBOUNDED & set(one.labels)
    assert one.meaning.endswith(".")


def test_every_metric_that_the_page_speaks_of_exists() -> None:
    known = {one.name for one in OWN}
    spoken = set(re.findall(r"\bsink_[a-z_]+", (ROOT / "sink/http/reference.md").read_text(encoding="utf-8")))
    histograms = {f"{one.name}_{part}" for one in OWN if one.type == "histogram" for part in ("bucket", "sum", "count")}
    assert spoken - known - histograms == set()
