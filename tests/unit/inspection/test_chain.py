"""What a ledger proves, on made-up entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sink.db.accounts import Account
from sink.db.replays import COUNTS
from sink.inspection.chain import Judged, Kind, Standing, judge
from tests.build import NOON

ALL = (0, 2**62)
NONE = dict.fromkeys(COUNTS, 0)


def entry(
    start: int, end: int, kind: str = "flush", *, kept: int = 0, reason: str | None = None, **counts: int
) -> Account:
    """Make an entry all of whose messages were written, unless counts are given."""
    messages = end - start if kind in {"flush", "replay"} else 0
    return Account(
        id=start,
        partition=3,
        from_offset=start,
        to_offset=end,
        kind=kind,
        owner="host/1",
        at=NOON,
        opened_at=NOON,
        counts={**NONE, "messages": messages, "rows_written": messages, **counts},
        kept=kept,
        reason=reason,
    )


def judged(
    entries: Sequence[Account],
    position: int | None = 100,
    *,
    log: tuple[int, int] = (0, 100),
    asked: tuple[int, int] = ALL,
    repeated: Sequence[Account] = (),
) -> Judged:
    return judge(Standing(partition=3, position=position, log=log), entries, repeated, asked)


def kinds(found: Judged) -> list[tuple[Kind, int, int]]:
    return [(fault.kind, fault.start, fault.end) for fault in found.faults]


def test_a_chain_without_hole_is_clean_and_added_up() -> None:
    found = judged([entry(0, 40), entry(40, 100, rows_written=50, rows_not_newer=4, ignored=3, rows_deduplicated=3)])

    assert (found.faults, found.holes, found.notes, found.proven, found.unread) == ([], [], [], (0, 100), 0)
    assert (found.counts["messages"], found.counts["rows_written"], found.counts["entries"]) == (100, 90, 2)


def test_offsets_without_messages_are_accounted_for_all_the_same() -> None:
    assert judged([entry(0, 100, messages=60, rows_written=60)]).faults == []


def test_a_hole_is_named() -> None:
    found = judged([entry(0, 40), entry(45, 100)])

    assert kinds(found) == [(Kind.HOLE, 40, 45)]
    assert found.holes == [(40, 45)]


def test_a_hole_that_a_rewind_or_a_whole_replay_has_read_is_none() -> None:
    holed = [entry(0, 40), entry(45, 100)]

    assert judged([*holed, entry(100, 30, "rewind"), entry(30, 100)]).faults == []
    assert judged(holed, repeated=[entry(38, 50, "replay")]).faults == []


def test_a_replay_of_some_symbols_fills_no_hole() -> None:
    some = entry(38, 50, "replay", messages=12, rows_written=4, ignored=8)

    assert judged([entry(0, 40), entry(45, 100)], repeated=[some]).holes == [(40, 45)]


def test_an_overlap_without_a_rewind_is_told() -> None:
    assert kinds(judged([entry(0, 60), entry(50, 100)])) == [(Kind.OVERLAP, 50, 60)]
    assert kinds(judged([entry(0, 60), entry(60, 20), entry(20, 100)])) == [(Kind.OVERLAP, 20, 60)]


def test_after_a_rewind_the_same_offsets_are_accounted_for_again() -> None:
    found = judged([entry(0, 100), entry(100, 20, "rewind"), entry(20, 100)])

    assert (found.faults, found.counts["rewinds"], found.unread) == ([], 1, 0)


def test_what_is_behind_a_rewound_position_is_yet_to_be_read() -> None:
    found = judged([entry(0, 100), entry(100, 20, "rewind")], position=20)

    assert (found.faults, found.proven, found.unread) == ([], (0, 20), 80)


def test_what_was_skipped_or_gone_is_left_out_and_said_with_its_reason() -> None:
    found = judged([entry(0, 40), entry(40, 50, "skip", reason="test data"), entry(50, 60, "gap"), entry(60, 100)])

    assert (found.faults, found.left_out) == ([], [(40, 60)])
    skipped, gone = found.notes
    assert "[40, 50)" in skipped
    assert "skipped: test data" in skipped
    assert "Kafka had dropped it" in gone


def test_what_was_skipped_and_read_later_is_not_left_out() -> None:
    rewound = [entry(0, 40), entry(40, 60, "skip", reason="oops"), entry(60, 45, "rewind"), entry(45, 100)]

    assert judged(rewound).left_out == [(40, 45)]


def test_sums_that_do_not_add_up_are_told() -> None:
    wrongs: list[dict[str, Any]] = [
        {"messages": 100, "rows_written": 99},
        {"messages": 101, "rows_written": 101},
        {"messages": 1, "rows_written": 2, "ignored": -1},
    ]
    for wrong in wrongs:
        assert kinds(judged([entry(0, 100, **wrong)])) == [(Kind.SUM, 0, 100)]


def test_more_quarantined_than_kept_is_told() -> None:
    counts: dict[str, Any] = {"rows_written": 98, "quarantined": 2}

    assert kinds(judged([entry(0, 100, kept=1, **counts)])) == [(Kind.QUARANTINE, 0, 100)]
    assert judged([entry(0, 100, kept=2, **counts)]).faults == []
    assert judged([entry(0, 100, kept=3, **counts)]).faults == [], "a replay may have quarantined more"


def test_a_position_that_was_moved_by_hand_is_told() -> None:
    assert kinds(judged([entry(0, 90)])) == [(Kind.HOLE, 90, 100), (Kind.POSITION, 90, 100)]
    assert kinds(judged([entry(0, 100)], position=90)) == [(Kind.POSITION, 90, 100)]


def test_a_position_outside_the_log_is_told() -> None:
    assert kinds(judged([entry(0, 100)], log=(0, 80))) == [(Kind.POSITION, 80, 100)]
    assert kinds(judged([entry(0, 100)], log=(120, 150))) == [(Kind.LOST, 100, 120)]
    assert judged([entry(0, 100)], log=(60, 150)).faults == [], "the ledger still proves what Kafka has dropped"


def test_a_pruned_ledger_says_from_where_it_proves() -> None:
    found = judged([entry(70, 100)])

    assert (found.faults, found.proven) == ([], (70, 100))
    assert "proves it from offset 70" in found.notes[0]


def test_an_empty_ledger_proves_nothing() -> None:
    assert judged([]).proven == (100, 100)
    assert judged([], position=None, log=(0, 7)).unread == 7


def test_only_the_range_that_was_asked_for_is_judged() -> None:
    entries = [entry(0, 40), entry(45, 60), entry(62, 100, messages=1)]

    found = judged(entries, asked=(50, 62))
    assert kinds(found) == [(Kind.HOLE, 60, 62)]
    assert found.proven == (50, 62)
    assert judged(entries, asked=(46, 60)).faults == []
    assert judged(entries, asked=(46, 60)).counts["messages"] == 15
