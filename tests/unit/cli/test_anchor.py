"""The demo's time anchor: kept from run to run, given up when it no longer serves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sink.cli.anchor import OLDEST, kept_anchor
from sink.errors import BadFile

NOW = datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)


def test_the_first_run_keeps_the_present_minute(tmp_path: Path) -> None:
    anchor = kept_anchor(tmp_path / "not/there/demo.json", now=NOW)
    assert (anchor.at, anchor.note) == (datetime(2024, 5, 6, 7, 8, tzinfo=UTC), None)


@pytest.mark.parametrize("later", [timedelta(), timedelta(hours=5), OLDEST])
def test_later_runs_have_the_same_anchor(tmp_path: Path, later: timedelta) -> None:
    first = kept_anchor(tmp_path / "demo.json", now=NOW.replace(second=0, microsecond=0))
    assert kept_anchor(tmp_path / "demo.json", now=first.at + later) == first


@pytest.mark.parametrize("later", [OLDEST + timedelta(seconds=1), -timedelta(hours=2)])
def test_an_anchor_that_no_longer_serves_is_replaced_and_said(tmp_path: Path, later: timedelta) -> None:
    first = kept_anchor(tmp_path / "demo.json", now=NOW.replace(second=0, microsecond=0))
    second = kept_anchor(tmp_path / "demo.json", now=first.at + later)
    assert second.at == first.at + later - timedelta(seconds=(first.at + later).second)
    assert second.note is not None
    assert "2024-05-06 07:08" in second.note
    assert kept_anchor(tmp_path / "demo.json", now=second.at).at == second.at


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"anchor": 3}', '{"anchor": "soon"}', '{"anchor": "2024-05-06T07:08"}']
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    file = tmp_path / "demo.json"
    file.write_text(text)
    with pytest.raises(BadFile, match=r"demo\.json .*delete it"):
        kept_anchor(file, now=NOW)
