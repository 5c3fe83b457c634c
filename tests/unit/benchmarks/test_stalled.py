"""The scene of the database that stalls: what counts as good."""

from __future__ import annotations

import pytest

from benchmarks.stalled import LIMIT, Stalled


def scene(**changed: object) -> Stalled:
    told = {"rows": 10, "durable": 4, "seconds": 1.0, "before": 7, "after": LIMIT, "wrong": None}
    return Stalled(**{**told, **changed})  # type: ignore[arg-type] # by name, for each test another


def test_a_right_table_within_the_bar_is_good() -> None:
    assert scene().good


@pytest.mark.parametrize("changed", [{"durable": 10}, {"after": LIMIT + 1}, {"wrong": "row 3"}])
def test_a_stall_behind_the_backlog_more_memory_or_a_wrong_table_is_not(changed: dict[str, object]) -> None:
    assert not scene(**changed).good
