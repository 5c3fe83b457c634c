"""The commands that read stretches again."""

from __future__ import annotations

from sink.inspection.mending import GAP, replays, stretches


def test_stretches_near_each_other_become_one_within_the_log() -> None:
    again = {1: [(5, 6), (900, 901), (5000, 5001)], 0: [(0, 10)], 2: [(3, 4)]}
    logs = {0: (5, 100), 1: (0, 9000), 2: (50, 60)}

    assert GAP == 1000
    assert stretches(again, logs) == {0: [(5, 10)], 1: [(5, 901), (5000, 5001)]}


def test_a_command_takes_one_stretch_of_each_partition() -> None:
    assert replays("trades", {0: [(5, 10)], 1: [(5, 901), (5000, 5001)]}, further=" --file a.toml") == [
        "sink replay trades --from 0:5,1:5 --to 0:10,1:901 --file a.toml",
        "sink replay trades --from 1:5000 --to 1:5001 --file a.toml",
    ]


def test_many_stretches_are_read_in_one_go_with_what_lies_between() -> None:
    assert replays("trades", {3: [(start, start + 1) for start in range(0, 50, 10)]}) == [
        "sink replay trades --from 3:0 --to 3:41"
    ]
    assert replays("trades", {}) == []
