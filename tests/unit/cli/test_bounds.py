"""Offsets and times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sink.cli.bounds import bound, partitions
from sink.errors import ConfigError
from sink.replaying.ranges import Bound, Place

NOW = datetime(2026, 6, 2, 15, 30, tzinfo=UTC)


def read(*texts: str) -> Bound:
    return bound(texts, option="--from", now=NOW)


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("beginning", "beginning"),
        ("end", "end"),
        ("now", "end"),
        ("2h", datetime(2026, 6, 2, 13, 30, tzinfo=UTC)),
        ("3d", datetime(2026, 5, 30, 15, 30, tzinfo=UTC)),
        ("today", datetime(2026, 6, 2, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T12:00Z", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("2026-06-01T12:00+02:00", datetime(2026, 6, 1, 10, tzinfo=UTC)),
        ("2026-06-01T12:00", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
    ],
)
def test_places(word: str, place: Place) -> None:
    assert read(word).place == place


def test_a_time_without_zone_is_utc_and_that_is_said() -> None:
    assert list(read("2026-06-01T12:00").notes) == [
        "--from 2026-06-01T12:00 is 2026-06-01 12:00:00 UTC (no zone given, so UTC)"
    ]
    assert list(read("yesterday").notes) == ["--from yesterday is 2026-06-01 00:00:00 UTC (no zone given, so UTC)"]
    assert list(read("2026-06-01T12:00+02:00").notes) == ["--from 2026-06-01T12:00+02:00 is 2026-06-01 10:00:00 UTC"]
    assert list(read("2h").notes) == ["--from 2h is 2026-06-02 13:30:00 UTC"]
    assert list(read("beginning").notes) == []


def test_offsets_repeated_or_with_commas() -> None:
    assert read("3:120000,4:7", "5:0") == Bound(offsets={3: 120000, 4: 7, 5: 0})
    assert read("3:120000", "beginning") == Bound(offsets={3: 120000}, place="beginning")
    assert read() == Bound()


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["soon"], "--from: 'soon' is neither an offset .* nor a time"),
        (["3:x"], "--from: '3:x' is neither"),
        (["-1:5"], "--from: '-1:5' is neither"),
        (["2026-13-01"], "'2026-13-01' is neither"),
        (["0h"], "'0h' is no duration"),
        (["3:1,3:2"], "--from names partition 3 twice"),
        (["2h", "beginning"], "--from names 2h and beginning; one place is enough"),
    ],
)
def test_other_words_are_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read(*texts)


def test_partition_numbers() -> None:
    assert partitions(["0,3", "7"]) == {0, 3, 7}
    assert partitions([]) == set()
    with pytest.raises(ConfigError, match="'a' is no partition"):
        partitions(["0,a"])
