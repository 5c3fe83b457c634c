"""A batch accounts for every offset, whatever is dropped from it or cut off it."""

from __future__ import annotations

import pytest

from sink.batch import Batch
from tests.build import Told, batch

TOLD = [
    Told(partition=0, offset=3, trade_id=1),
    Told(partition=0, offset=5, trade_id=None),
    Told(partition=1, offset=0, trade_id=2),
    Told(partition=0, offset=6, trade_id=3),
    Told(partition=1, offset=1, trade_id=4),
]


def places(made: Batch) -> set[tuple[int, int]]:
    frame = made.frame()
    rows = [] if frame is None else frame.select("source_partition", "source_offset").rows()
    return set(rows) | {(bad.partition, bad.offset) for bad in made.undecodable()}


def spans(made: Batch) -> dict[int, tuple[int, int]]:
    return {number: (span.base, span.end) for number, span in made.spans.items()}


def test_a_span_runs_from_the_expected_offset_to_behind_the_last_message() -> None:
    made = batch(TOLD, bases={0: 1, 1: 0})

    assert spans(made) == {0: (1, 7), 1: (0, 2)}
    assert places(made) == {(0, 3), (0, 5), (0, 6), (1, 0), (1, 1)}
    assert made.count == 5


def test_what_does_not_continue_a_span_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="does not continue"):
        batch(TOLD).advance(0, 8, 9)


def test_dropping_a_partition_leaves_the_others_whole() -> None:
    made = batch(TOLD)
    made.drop([0])

    assert spans(made) == {1: (0, 2)}
    assert places(made) == {(1, 0), (1, 1)}
    assert made.count == 2
    assert made.size == sum(len(f"1/{offset}") + len("BTCUSDT") for offset in (0, 1))


def test_only_some_partitions_are_a_copy() -> None:
    made = batch(TOLD)
    part = made.only([0])
    part.drop([0])

    assert not part
    assert places(made) == {(one.partition, one.offset) for one in TOLD}


def test_halves_are_the_whole_without_overlap() -> None:
    """Cut again and again, until single messages are left."""
    whole = batch(TOLD, bases={0: 1, 1: 0})
    leaves, todo = [], [whole]
    while todo:
        one = todo.pop()
        halves = one.halves()
        todo.extend(halves or ())
        if halves is None:
            leaves.append(one)

    assert sorted(place for leaf in leaves for place in places(leaf)) == sorted(places(whole))
    assert all(leaf.count == 1 for leaf in leaves)
    zero = sorted(spans(leaf)[0] for leaf in leaves if 0 in leaf.spans)
    assert zero == [(1, 5), (5, 6), (6, 7)]


def test_a_rejected_message_is_kept_whole() -> None:
    (bad,) = batch(TOLD).undecodable()

    assert (bad.partition, bad.offset, bad.key, bad.value) == (0, 5, b"BTCUSDT", b"0/5")


def test_messages_are_counted_from_a_start() -> None:
    assert batch(TOLD).messages_from({0: 5, 1: 1}) == {0: 2, 1: 1}
