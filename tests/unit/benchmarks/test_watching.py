"""What the benchmarks make of their looks: latency by an observer, the order of turns, CPU time of processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import measure, plan, systems
from benchmarks.observer import Looks
from benchmarks.run import rotated
from benchmarks.watch import EVERY, Seen
from sink.errors import ConfigError


def test_a_trade_has_arrived_with_the_first_look_that_shows_it_or_a_later_one() -> None:
    looks = Looks(at=[100, 200, 300], newest=[(0, 50), (20, 50), (40, 60)])

    assert looks.arrivals(0, [10, 20, 30, 40]) == [200, 200, 300, 300]
    assert looks.arrivals(1, [50, 60]) == [100, 300]


def test_a_share_is_of_the_looks_until_the_last_write() -> None:
    seen = Seen(begin=10.0, end=12.0, busy=[True, True, False, True, False, False], last=4)

    assert seen.busy_share == 0.75
    assert seen.seconds == pytest.approx(2.0 + EVERY)


def test_every_system_is_first_once() -> None:
    three = [systems.SYSTEMS[name] for name in ("sink", "limit", "handwritten")]

    assert [rotated(three, number)[0].name for number in range(4)] == ["sink", "limit", "handwritten", "sink"]
    assert {system.name for system in rotated(three, 2)} == {"sink", "limit", "handwritten"}


def test_the_time_of_a_child_that_has_ended_counts_with_its_parent() -> None:
    program = (
        "import os, subprocess, sys;"
        "subprocess.run([sys.executable, '-c', 'sum(range(3_000_000))']);"
        "print(sum(os.times()[:4]), os.times().children_user, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as popen:
        assert popen.stdout is not None
        total, child = map(float, popen.stdout.readline().split())
        found = measure.seconds(popen.pid)
        popen.communicate(b"\n")

    assert child > 0
    assert found >= total - 4 / measure.TICKS, "each of four times is cut to a tick"
    assert measure.seconds(popen.pid) == 0, "it is gone"


def test_an_unknown_name_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"called lod; there are load, candles, "):
        plan.chosen(["lod"], 1_000)
    with pytest.raises(ConfigError, match=r"called lod; there are sink, debezium, "):
        systems.chosen(["lod"])


def test_the_limit_takes_no_updates_and_no_streams() -> None:
    known = plan.workloads(1_000)

    assert [
        name for name in ("load", "candles", "replicas-2", "latency-1000") if systems.SYSTEMS["limit"].fits(known[name])
    ] == ["load"]
