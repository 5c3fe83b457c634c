"""The ends of a stretch as people write them: offsets by partition, times, ``beginning``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sink.cli.arguments import duration, moment, names
from sink.errors import ConfigError
from sink.replaying.ranges import Bound, Place, shown

_OFFSET = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_AGO = re.compile(r"[0-9]+[smhd]", re.IGNORECASE)
_DAYS = {"today": 0, "yesterday": 1}
_PLACES: dict[str, Place] = {"beginning": "beginning", "end": "end", "now": "end"}


def bound(texts: Sequence[str], *, option: str, now: datetime) -> Bound:
    """Read one end: ``3:120000`` for a partition, and at most one place for all others.

    A place is ``beginning``, ``end`` (or ``now``), ``today``, ``yesterday`` (their midnights in UTC), ``2h`` (so long
    before ``now``) or an ISO 8601 time, in UTC unless it names a zone. Raises ConfigError.
    """
    offsets: dict[int, int] = {}
    places: list[tuple[str, Place]] = []
    for word in (name for text in texts for name in names(text)):
        if match := _OFFSET.fullmatch(word):
            partition = int(match[1])
            if partition in offsets:
                raise ConfigError(f"{option} names partition {partition} twice")
            offsets[partition] = int(match[2])
        else:
            places.append((word, _place(word, option, now)))
    if len(places) > 1:
        raise ConfigError(f"{option} names {' and '.join(word for word, _ in places)}; one place is enough")
    if not places:
        return Bound(offsets=offsets)
    word, place = places[0]
    return Bound(offsets=offsets, place=place, notes=_notes(word, place, option))


def _place(word: str, option: str, now: datetime) -> Place:
    lower = word.lower()
    if lower in _PLACES:
        return _PLACES[lower]
    if lower in _DAYS:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=_DAYS[lower])
    if _AGO.fullmatch(word):
        return now - duration(word)
    try:
        return moment(word)
    except ConfigError:
        raise ConfigError(
            f"{option}: {word!r} is neither an offset (3:120000) nor a time (2024-01-01T00:00Z, 2h, yesterday) nor"
            " beginning or end"
        ) from None


def _notes(word: str, place: Place, option: str) -> tuple[str, ...]:
    if not isinstance(place, datetime):
        return ()
    return (f"{option} {word} is {shown(place)}{'' if has_zone(word) else ' (no zone given, so UTC)'}",)


def has_zone(word: str) -> bool:
    """Say whether a word needs no zone or has one."""
    try:
        return datetime.fromisoformat(word).tzinfo is not None
    except ValueError:
        return word.lower() not in _DAYS


def partitions(texts: Sequence[str]) -> set[int]:
    """Read partition numbers with commas between them."""
    words = [name for text in texts for name in names(text)]
    wrong = [word for word in words if not re.fullmatch(r"[0-9]{1,9}", word)]
    if wrong:
        raise ConfigError(f"--partitions: {wrong[0]!r} is no partition; write 0,3")
    return {int(word) for word in words}
