"""The oracle itself, on logs small enough to judge by eye."""

from __future__ import annotations

from sink.datasets import DATASETS
from tests.model.log import Topic
from tests.model.material import Fault, Told
from tests.model.oracle import expected_rows


def offsets(*told: tuple[int, int, int, Fault]) -> list[tuple[int, int]]:
    """Give partition and offset of the expected rows; told are partition, offset, record time and fault of one key."""
    topic = Topic(name="market.proof", dataset=DATASETS["trades"], told={0: [], 1: []}, ends={0: 0, 1: 0})
    for partition, offset, seconds, fault in told:
        one = Told(partition=partition, offset=offset, key=1, version=1, seconds=seconds, fault=fault)
        topic.append(one, behind=0)
    return [(row[-2], row[-1]) for row in expected_rows(topic)]


def test_the_later_record_time_wins() -> None:
    assert offsets((0, 0, 5, ""), (0, 1, 4, "")) == [(0, 0)]


def test_of_equal_times_the_greater_offset_wins_and_then_the_greater_partition() -> None:
    assert offsets((0, 3, 5, ""), (1, 2, 5, "")) == [(0, 3)]
    assert offsets((0, 3, 5, ""), (1, 3, 5, "")) == [(1, 3)]


def test_a_refused_version_leaves_the_row_to_the_next_newest() -> None:
    assert offsets((0, 0, 5, ""), (0, 1, 6, "refused")) == [(0, 0)]
