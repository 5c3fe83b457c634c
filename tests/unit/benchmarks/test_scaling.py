"""The page that says what other rates need is multiplied from what was measured, and is the committed one."""

from __future__ import annotations

import pytest

from benchmarks import scaling
from benchmarks.__main__ import RESULTS, SIZES
from benchmarks.results import Outcome, Result
from benchmarks.sizing import Sizing, Weight
from tests.documented import ROOT

MACHINE = {"cores": 2, "processor": "Some CPU", "memory_gib": 8, "revision": "abc"}
TRADES = Weight(
    dataset="trades",
    versions=1,
    messages=1_000_000,
    rows=1_000_000,
    log_bytes=50_000_000,
    table_bytes=100_000_000,
    index_bytes=100_000_000,
    wal_bytes=300_000_000,
    cpu_sink=4.0,
    cpu_database=8.0,
    rate=100_000.0,
)
RUN = Result(
    begun_at="2026-06-02T12:00:00+00:00",
    machine=MACHINE,
    options={},
    systems={},
    workloads={"load": {"title": "first load", "rows": 1_000_000, "partitions": 4}},
    outcomes=[
        Outcome(
            system="sink",
            workload="load",
            phase="load",
            rows=1,
            keys=1,
            correct=True,
            rows_per_second=100_000.0,
            peak_memory=2**28,
        )
    ],
)


def lines(sizing: Sizing, result: Result) -> dict[str, list[str]]:
    table = [
        line.split("|")[1:-1] for line in scaling.page(sizing, result, source="x.json").splitlines() if "|" in line
    ]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in table}


def test_other_rates_are_multiplied_from_what_was_measured() -> None:
    told = lines(Sizing(begun_at="", machine=MACHINE, weights=[TRADES]), RUN)

    assert told["trades"] == ["1,000,000", "50", "100", "100", "300", "4.0", "8.0"]
    assert told["rows a day, millions"][0] == "86"
    assert told["table and indexes a day, GB"][0] == "17.3"
    assert told["WAL, MB/s"] == ["0.3", "3.0", "30.0", "300.0"]
    assert told["cores of the database"][-1] == "8.00"
    assert told["processes, each at 50% of what it can"] == ["1", "1", "2", "20"]


@pytest.mark.parametrize(("processes", "wanted"), [(1, 4), (2, 4), (3, 8), (20, 64)])
def test_partitions_leave_room_for_twice_the_processes(processes: int, wanted: int) -> None:
    assert scaling.partitions(processes) == wanted


def test_the_page_is_what_the_committed_runs_say() -> None:
    newest = max(RESULTS.glob("[0-9]*.json"))
    expected = scaling.page(Sizing.read(SIZES), Result.read(newest), source=newest.name)
    assert (ROOT / "docs/scaling.md").read_text() == expected, "write it anew with: python -m benchmarks scaling"
