"""``sink produce`` without a broker: what it refuses, what it warns of, what it says at the end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sink.cli import app
from sink.cli.arguments import duration, moment, names, rate
from sink.errors import BadFile, ConfigError, SinkError
from sink.producing.samples import sample_files

SAMPLES = [str(path) for path in sample_files()]
TRADE = "13519807,0.00141342,23.0,0.03250866,1570752011620,True,True"


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings files of the checkout out."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["produce", "--dry-run", *arguments])


def summary(*arguments: str) -> dict[str, Any]:
    ended = run(*arguments, "--json")
    assert ended.exception is None
    read: dict[str, Any] = json.loads(ended.stdout)
    return read


def refusal(*arguments: str) -> SinkError:
    error = run(*arguments).exception
    assert isinstance(error, SinkError)
    return error


def test_old_files_are_counted_as_beyond_retention() -> None:
    ended = run(*SAMPLES)
    assert ended.exit_code == 0
    assert "502 of 502 rows of trades are older than the 30 days that the table keeps" in ended.stderr
    assert "rows: 502" in ended.stdout
    assert "741 rows read and checked, nothing produced" in ended.stdout


def test_moved_files_lie_within_retention() -> None:
    datasets = summary(*SAMPLES, "--shift-to-now")["datasets"]
    assert {name: (entry["rows"], entry["beyond_retention"]) for name, entry in datasets.items()} == {
        "candles_1m": (148, 0),
        "trades": (502, 0),
        "funding": (91, 0),
    }


def test_same_anchor_moves_by_the_same_days() -> None:
    sources = summary(*SAMPLES, "--shift-to-now", "--anchor", "2019-10-14T00:00Z")["sources"]
    assert [source["moved_by_days"] for source in sources] == [2, 2, -797]


def test_real_rounded_value_is_told_in_the_summary() -> None:
    (source,) = (entry for entry in summary(*SAMPLES)["sources"] if "fundingRate" in entry["name"])
    assert source["rounded_lines"] == 1
    assert "line 51: last_funding_rate is '-0.0021933400000000002'" in source["notes"][0]


def test_bad_line_stops_or_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "A-trades-2019-10.csv"
    path.write_text("\n".join([TRADE, "rubbish", *["1,2"] * 30, TRADE]))
    error = refusal(str(path))
    assert isinstance(error, BadFile)
    assert "line 2: 1 cells" in str(error)
    assert "--skip-bad-lines" in str(error)
    for more in ((), ("--shift-to-now",)):
        ended = run(str(path), "--skip-bad-lines", *more)
        assert "bad lines: 31" in ended.stdout
        assert "line 2: 1 cells" in ended.stderr
        assert "and 11 more" in ended.stderr


def test_simulation_gives_exactly_the_trades_asked_for() -> None:
    datasets = summary("--simulate", "--trades", "1234", "--duration", "5m", "--funding-interval", "1m")["datasets"]
    rows = {name: entry["rows"] for name, entry in datasets.items()}
    assert rows == {"candles_1m": 10, "trades": 1234, "oi_snapshots": 2, "funding": 10}


def test_rate_sets_the_number_of_trades() -> None:
    entry = summary("--simulate", "--rate", "1000/s", "--duration", "1m", "--datasets", "candles_1m")
    assert entry["datasets"]["candles_1m"]["rows"] == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "give dump files, or --simulate"),
        ((*SAMPLES, "--simulate"), "and not both"),
        ((*SAMPLES, "--anchor", "2024-01-01"), "give both"),
        ((*SAMPLES, "--shift-to-now", "--anchor", "yesterday"), "'yesterday' is no time"),
        (("--simulate", "--rate", "fast"), "'fast' is no rate"),
        (("--simulate", "--duration", "90s"), "whole minutes"),
        (("--simulate", "--datasets", "tradez"), "no dataset tradez"),
        (("--simulate", "--symbols", ","), "at least one symbol"),
        (("A-trades-2019-10.csv", "B-aggTrades-2019-10.csv"), "raw and aggregated trades"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(arguments: tuple[str, ...], reason: str) -> None:
    error = refusal(*arguments)
    assert isinstance(error, ConfigError)
    assert reason in str(error)


def test_durations() -> None:
    assert [duration(text) for text in ("90s", "10m", "8h", "2d")] == [
        timedelta(seconds=90),
        timedelta(minutes=10),
        timedelta(hours=8),
        timedelta(days=2),
    ]
    for wrong in ("", "0m", "10", "1w", "-1m", "1.5h", "99999999d", "٣m"):
        with pytest.raises(ConfigError, match="is no duration"):
            duration(wrong)


def test_times_without_a_zone_are_utc() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert moment("2024-01-01") == moment("2024-01-01T00:00Z") == moment("2024-01-01T08:00+08:00") == start


def test_rates_and_names() -> None:
    assert (rate("500"), rate("0.5/s"), rate("max")) == (500, 0.5, None)
    for wrong in ("0", "-1", "500/m", "nan", "inf"):
        with pytest.raises(ConfigError, match="is no rate"):
            rate(wrong)
    assert names(" A, B,,") == ("A", "B")
