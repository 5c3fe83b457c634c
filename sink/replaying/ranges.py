"""Turns what a person asks for (offsets, times, ``beginning``) into offsets that Kafka's log has. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from sink.errors import ConfigError
from sink.kafka.log import TimedLog
from sink.kafka.stretch import Range

Place = datetime | Literal["beginning", "end"]
"""A bound for every partition that has none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One end of a stretch: offsets by partition, and a place for the other partitions; neither is no bound."""

    offsets: Mapping[int, int] = field(default_factory=dict)
    place: Place | None = None
    notes: Sequence[str] = ()
    """What was understood that the words did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The ranges that are read, without empty ones, and what is to be said before."""

    ranges: Mapping[int, Range]
    notes: Sequence[str]

    @property
    def offsets(self) -> int:
        """How many offsets they span."""
        return sum(end - start for start, end in self.ranges.values())


def choose(log: TimedLog, start: Bound, end: Bound, partitions: Collection[int]) -> Chosen:
    """Find the ranges; without ``partitions`` all, or those that ``start`` names where it names nothing else.

    Raises ConfigError for partitions that do not exist, offsets beyond the log and inverted ranges.
    """
    notes, ranges = [*start.notes, *end.notes], {}
    for number, (begin, stop) in meant(log, start, end, partitions).items():
        low, high = log.log_range(number)
        first, last = min(max(begin, low), high), min(max(stop, low), high)
        if begin < first:
            notes.append(
                f"partition {number}: Kafka no longer has the offsets [{begin}, {min(low, stop)}); its log begins at"
                f" {low}"
            )
        if first < last:
            ranges[number] = (first, last)
        elif begin >= first and number in {*partitions, *start.offsets, *end.offsets}:
            notes.append(f"partition {number}: no messages in [{begin}, {stop})")
    return Chosen(ranges=ranges, notes=notes)


def meant(log: TimedLog, start: Bound, end: Bound, partitions: Collection[int]) -> dict[int, Range]:
    """Find the ranges that are meant, empty ones and what the log no longer has included; refuses as :func:`choose`."""
    wanted = _wanted(log.partitions(), partitions, {"--from": start, "--to": end})
    logs = {number: log.log_range(number) for number in wanted}
    starts = _offsets(log, start, logs, "--from", default="beginning")
    ends = _offsets(log, end, logs, "--to", default="end")
    for number in wanted:
        if ends[number] < starts[number]:
            raise ConfigError(
                f"partition {number}: --to is offset {ends[number]}, before --from, which is offset {starts[number]};"
                " exchange them"
            )
    return {number: (starts[number], ends[number]) for number in wanted}


def targets(log: TimedLog, bound: Bound, partitions: Collection[int]) -> Mapping[int, int]:
    """Find one offset for each partition, as :func:`choose` does; refuses what the log does not have."""
    wanted = _wanted(log.partitions(), partitions, {"--to": bound})
    logs = {number: log.log_range(number) for number in wanted}
    found = _offsets(log, bound, logs, "--to", default="end")
    for number, offset in found.items():
        low, high = logs[number]
        if offset < low:
            raise ConfigError(
                f"partition {number}: Kafka no longer has offset {offset}; its log is [{low}, {high}). Use"
                " 'beginning' for what is left"
            )
    return found


def before(log: TimedLog, ranges: Mapping[int, Range], moment: datetime) -> dict[int, int]:
    """Count by partition the offsets of ranges whose messages were recorded before a moment."""
    cuts = log.offsets_at(moment, sorted(ranges))
    counts = {number: min(cuts[number], end) - start for number, (start, end) in ranges.items()}
    return {number: count for number, count in counts.items() if count > 0}


def _wanted(known: Sequence[int], partitions: Collection[int], bounds: Mapping[str, Bound]) -> list[int]:
    """Say which partitions are meant; the first of the bounds decides where none are named."""
    named = {"--partitions": set(partitions)} | {option: set(bound.offsets) for option, bound in bounds.items()}
    for option, numbers in named.items():
        unknown = sorted(numbers - set(known))
        if unknown:
            raise ConfigError(
                f"{option}: there is no partition {', '.join(map(str, unknown))}; the topic has"
                f" {', '.join(map(str, known))}"
            )
    decisive, first = next(iter(bounds.items()))
    wanted = set(partitions) or (set(known) if first.place is not None else set(first.offsets))
    for option in bounds:
        stray = sorted(named[option] - wanted)
        if stray:
            raise ConfigError(
                f"{option} names partition {', '.join(map(str, stray))}, which is not among those to be read"
                f" ({', '.join(map(str, sorted(wanted)))})"
            )
    bare = sorted(wanted - set(first.offsets)) if first.place is None else []
    if bare:
        raise ConfigError(
            f"{decisive} says nothing of partition {', '.join(map(str, bare))}; add a place for the others, such as 2h"
        )
    return sorted(wanted)


def _offsets(
    log: TimedLog, bound: Bound, logs: Mapping[int, Range], option: str, *, default: Literal["beginning", "end"]
) -> dict[int, int]:
    place = default if bound.place is None else bound.place
    others = [number for number in logs if number not in bound.offsets]
    if isinstance(place, datetime):
        found = dict(log.offsets_at(place, others)) if others else {}
    else:
        found = {number: logs[number][0 if place == "beginning" else 1] for number in others}
    for number, (low, high) in logs.items():
        offset = bound.offsets.get(number)
        if offset is not None and offset > high:
            raise ConfigError(
                f"{option}: offset {offset} of partition {number} lies beyond the log, which is [{low}, {high})"
            )
    return found | {number: offset for number, offset in bound.offsets.items() if number in logs}


def shown(moment: datetime) -> str:
    """Write a time for people."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
