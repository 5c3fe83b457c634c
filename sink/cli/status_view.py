"""Draws a status: a line for each dataset, a line for each partition, and why anything is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sink.inspection.status import DatasetStatus, Part, Status, TimeSplit
from sink.kafka.standing import GroupStanding

NOTHING = "-"
_BARS = "▁▂▃▄▅▆▇█"
_WORRYING = 10_000
"""Messages of lag from which on it is shown in yellow."""
_UNITS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000
_FRAME = 8
"""Lines that are neither a dataset's nor a partition's."""
_BAR = 20
"""Characters of a bar."""
_OUTCOMES = {
    "rows_written": "written",
    "rows_not_newer": "not newer",
    "rows_deduplicated": "deduplicated",
    "ignored": "ignored",
    "late": "late",
    "quarantined": "quarantined",
}


def view(
    status: Status, *, database: str, lags: Mapping[str, Sequence[int]], breaker: float, width: int, height: int | None
) -> RenderableType:
    """Draw a status; ``lags`` is the course of each dataset's lag, ``breaker`` the share of bad messages that halts.

    Where ``height`` lines are not enough, the partitions that lag least are left out, and counted; where ``width``
    characters are not, what matters least.
    """
    heading = Text.assemble(
        (f"{status.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", "bold"),
        f"   Kafka {status.cluster_id or NOTHING}   database {database}",
        no_wrap=True,
        overflow="ellipsis",
    )
    remarks = _remarks(status, breaker)
    room = None if height is None else height - _FRAME - len(status.datasets) - len(remarks)
    foot: list[RenderableType] = ["", *remarks] if remarks else []
    return Group(heading, "", _datasets(status, lags, width), "", *_partitions(status, room), *foot)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the datasets' table, left out where the terminal has fewer than ``least`` characters."""

    name: str
    cell: Callable[[DatasetStatus], RenderableType]
    justify: Literal["left", "right"] = "right"
    least: int = 0


def _columns(lags: Mapping[str, Sequence[int]]) -> list[_Column]:
    return [
        _Column("dataset", lambda one: one.dataset, "left"),
        _Column("lag", lambda one: Text(count(one.lag), style=_lag_style(one.lag))),
        _Column("", lambda one: Text(sparkline(lags.get(one.dataset, ())), style="yellow"), "left", 140),
        _Column("msg/s", lambda one: NOTHING if one.rate is None else f"{one.rate:,.0f}"),
        _Column("", lambda one: Text(sparkline(one.rates), style="cyan"), "left", 110),
        _Column("newest event", lambda one: NOTHING if one.age is None else f"{_length(one.age)} ago"),
        _Column("quarantine", lambda one: NOTHING if one.quarantined is None else f"{one.quarantined.waiting:,}"),
        _Column("chunks", lambda one: NOTHING if one.stored is None else f"{one.stored.chunks:,}", least=100),
        _Column("size", lambda one: NOTHING if one.stored is None else size(one.stored.size)),
        _Column("kept since", _horizon, "left", 100),
        _Column("group", lambda one: _group(one.group), "left"),
    ]


def _datasets(status: Status, lags: Mapping[str, Sequence[int]], width: int) -> Table:
    columns = [column for column in _columns(lags) if width >= column.least]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.name, justify=column.justify, no_wrap=True)
    for one in status.datasets:
        table.add_row(*(column.cell(one) for column in columns))
    return table


def _partitions(status: Status, room: int | None) -> list[RenderableType]:
    lines = [(one, part) for one in status.datasets for part in one.parts]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("dataset", no_wrap=True)
    for name in ("partition", "position", "log end", "lag", "commit", "updated"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("owner", no_wrap=True, overflow="ellipsis")
    left_out: list[tuple[DatasetStatus, Part]] = []
    if room is not None and len(lines) > max(1, room):
        by_lag = sorted(lines, key=lambda line: line[1].lag or 0, reverse=True)
        shown, left_out = by_lag[: max(1, room)], by_lag[max(1, room) :]
        lines = [line for line in lines if line in shown]
    for one, part in lines:
        table.add_row(
            one.dataset,
            str(part.partition),
            count(part.position),
            count(part.log_end),
            Text(count(part.lag), style=_lag_style(part.lag)),
            commit_of(part),
            _ago(status.at, part.updated_at),
            _owner(part),
        )
    if not left_out:
        return [table]
    most = max(part.lag or 0 for _, part in left_out)
    return [table, Text(f"and {len(left_out)} more partitions, none with a lag above {most:,}", style="dim")]


def _remarks(status: Status, breaker: float) -> list[Text]:
    remarks = [
        Text(f"{name}: {error}", style="red")
        for name, error in (("Kafka", status.kafka_error), ("database", status.database_error))
        if error is not None
    ]
    for one in status.datasets:
        remarks += [Text(f"{one.dataset}: {note}", style="yellow") for note in one.notes]
        if one.counts is not None and one.counts["messages"]:
            told = ", ".join(f"{one.counts[name]:,} {word}" for name, word in _OUTCOMES.items() if one.counts[name])
            remarks.append(Text(f"{one.dataset}: {one.counts['messages']:,} messages in 5 min: {told}", style="dim"))
        if one.split is not None:
            remarks.append(_time_split(one.dataset, one.split))
        if one.bad_share:
            sentence = f"{one.dataset}: {one.bad_share:.1%} of them bad; the breaker halts at {breaker:.0%}"
            remarks.append(Text(sentence, style="red"))
    if any(part.owner is not None and part.member is False for one in status.datasets for part in one.parts):
        remarks.append(Text("owners in brackets are not in Kafka's group any more", style="dim"))
    return remarks


def _time_split(dataset: str, split: TimeSplit) -> Text:
    """Draw where the time of a flush goes as one bar, and write it behind."""
    line = Text(f"{dataset}: a flush takes {split.total:.2f} s ", style="dim", no_wrap=True, overflow="ellipsis")
    told: list[str] = []
    left = _BAR
    for seconds, filling, style, words in (
        (split.filled, "█", "cyan", "filling"),
        (split.waited, "▓", "red", "waiting for the writer"),
        (split.written, "░", "yellow", "writing"),
    ):
        share = seconds / split.total if split.total else 0.0
        length = min(left, round(share * _BAR))
        left -= length
        line.append(filling * length, style=style)
        told.append(f"{share:.0%} {words}")
    return line.append(f" {', '.join(told)}")


def sparkline(values: Sequence[float]) -> str:
    """Draw the course of values, the greatest as a full bar, nothing as a blank."""
    most = max(values, default=0)
    if most <= 0:
        return " " * len(values)
    top = len(_BARS) - 1
    return "".join(" " if value <= 0 else _BARS[min(top, round(value / most * top))] for value in values)


def size(number: int) -> str:
    """Write a number of bytes for people."""
    value, unit = float(number), 0
    while value >= _THOUSAND and unit < len(_UNITS) - 1:
        value, unit = value / _THOUSAND, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def _length(length: timedelta) -> str:
    seconds = max(0.0, length.total_seconds())
    for limit, one, word in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / one:.0f} {word}"
    return f"{seconds / 86_400:,.0f} d"


def _ago(now: datetime, moment: datetime | None) -> str:
    return NOTHING if moment is None else f"{_length(now - moment)} ago"


def _horizon(one: DatasetStatus) -> str:
    if one.stored is None:
        return NOTHING
    return "for ever" if one.horizon is None else f"{one.horizon.astimezone(UTC):%Y-%m-%d}"


def count(number: int | None) -> str:
    """Write a number for people."""
    return NOTHING if number is None else f"{number:,}"


def _lag_style(lag: int | None) -> str:
    return "yellow" if lag is not None and lag >= _WORRYING else ""


def commit_of(part: Part) -> str:
    """Write Kafka's commit, and whether somebody else made it."""
    if part.commit is None:
        return NOTHING
    return f"{part.commit.offset:,}" if part.commit.marked else f"{part.commit.offset:,} (not ours)"


def _owner(part: Part) -> Text:
    if part.owner is None:
        return Text(NOTHING)
    return Text(f"({part.owner})", style="dim") if part.member is False else Text(part.owner)


def _group(group: GroupStanding | None) -> Text:
    if group is None:
        return Text(NOTHING)
    if not group.members:
        return Text("nobody runs", style="yellow")
    members = f"{len(group.members)} member{'s' if len(group.members) > 1 else ''}"
    return Text(members if group.state == "stable" else f"{members}, {group.state.replace('_', ' ')}")
