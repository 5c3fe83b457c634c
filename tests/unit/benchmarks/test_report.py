"""The page that is written from a run's JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots
from benchmarks.report import _page, write
from benchmarks.results import Outcome, Result, joined

MACHINE = {
    "cores": 2,
    "processor": "Some CPU",
    "memory_gib": 23.5,
    "kernel": "6.1",
    "python": "3.11",
    "kafka": "4.3.1",
    "revision": "abc",
    "postgresql": "17.11",
    "timescaledb": "2.19.3",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "512MB",
    "load_before": 0.1,
}


def outcome(system: str, rate: float, **more: Any) -> Outcome:
    known = {"workload": "load", "phase": "load", "rows": 1_000_000, "keys": 1_000_000, "correct": True}
    used = {"cpu": 4.0, "cpu_before_first_write": 1.0, "cpu_database": 6.0, "cpu_broker": 1.5}
    seen = {"peak_memory": 2**28, "busy_share": 0.9, "wal_bytes": 10**9, "doing": {"running": 9, "client: idle": 1}}
    return Outcome(**{"system": system, "rows_per_second": rate, **known, **used, **seen, **more})


def result(*more: Outcome, machine: dict[str, Any] | None = None) -> Result:
    loads = [
        outcome(system, rate * (1 + place / 10), round=place)
        for system, rate in (("sink", 100_000.0), ("limit", 200_000.0))
        for place in range(3)
    ]
    latency = {"p50": 90, "p90": 200, "p99": 400, "p99.9": 500, "max": 600, "resolution": 11, "producer_late": 2}
    stream = outcome("sink", 5_000, workload="latency-5000", phase="stream", latency=latency)
    ten = outcome("sink", 95_000, workload="rows-x10", rows=10_000_000)
    return Result(
        begun_at="2026-06-02T12:00:00+00:00",
        machine=MACHINE | (machine or {}),
        options={"rounds": 3, "rows": 1_000_000},
        systems={"sink": "this sink", "limit": "the limit"},
        workloads={
            "load": {"title": "first load", "rows": 1_000_000, "partitions": 4},
            "rows-x10": {"title": "ten times the rows", "rows": 10_000_000, "partitions": 4},
            "latency-5000": {"title": "5,000 messages/s"},
        },
        outcomes=[*loads, ten, stream, *more],
    )


def page_of(made: Result) -> str:
    return "\n".join(_page(made, "run.json", {}))


def test_the_page_says_who_is_how_fast_and_what_limits_us() -> None:
    page = page_of(result())

    assert "| this sink | 110,000 [100,000-120,000] |  |" in page
    assert "| the limit | 220,000 [200,000-240,000] | 0.50 [0.42-0.60] |" in page
    assert "| 5,000 messages/s | this sink | 90 | 200 | 400 | 500 | 600 | 11 | 2 |" in page
    assert "| ten times the rows | 95,000 [95,000-95,000] | - |" in page
    assert "busy for 90% of a first load, so that the database sets the pace" in page
    assert "It reaches 50% of a bare COPY" in page
    assert "What to doubt" not in page


def test_a_plot_that_has_nothing_to_show_is_left_out(tmp_path: Path) -> None:
    made = result()
    bare = replace(made, outcomes=[one for one in made.outcomes if one.workload == "rows-x10"])

    write(bare, source="run.json", page=tmp_path / "performance.md")

    assert "svg" not in (tmp_path / "performance.md").read_text()
    assert plots.time_spent(made, tmp_path / "time.svg")
    assert (tmp_path / "time.svg").read_text().rstrip().endswith("</svg>")


def test_what_a_reader_must_doubt_is_said() -> None:
    wrong = outcome("limit", 1e9, correct=False, failure="row 7 of 9 is b'x'\nmore", round=2)

    page = page_of(result(wrong, machine={"load_before": 3.2}))

    assert "- other processes were at work when the run began (load 3.2)" in page
    assert "- limit, load, load, round 3 does not count: row 7 of 9 is b'x'\n" in page
    assert "1,000,000,000" not in page


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = result()
    made.write(tmp_path / "run.json")

    assert Result.read(tmp_path / "run.json") == made
    (tmp_path / "old.json").write_text('{"version": 0}')
    with pytest.raises(ValueError, match=r"old\.json was not written by this version"):
        Result.read(tmp_path / "old.json")


def test_runs_of_different_workloads_become_one() -> None:
    made = result()
    load, streams = _only(made, "load"), _only(made, "latency-5000", machine={"load_before": 0.4})
    ended_early = replace(load, workloads=made.workloads)

    both = joined([ended_early, streams])

    assert list(both.workloads) == ["load", "latency-5000"]
    assert both.outcomes == [*load.outcomes, *streams.outcomes]
    assert both.machine["load_before"] == 0.4
    assert "Rounds: 3 of load; 1 of latency-5000." in page_of(both)


def test_runs_that_cannot_be_compared_are_not_joined() -> None:
    made = result()
    with pytest.raises(ValueError, match="load was played in two of these runs"):
        joined([_only(made, "load"), _only(made, "load")])
    with pytest.raises(ValueError, match="differ in revision"):
        joined([_only(made, "load"), _only(made, "latency-5000", machine={"revision": "another"})])


def _only(made: Result, workload: str, machine: dict[str, object] | None = None) -> Result:
    return replace(
        made,
        machine={**made.machine, **(machine or {})},
        workloads={workload: made.workloads[workload]},
        outcomes=[one for one in made.outcomes if one.workload == workload],
    )
