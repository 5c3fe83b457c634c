"""Moves old data to the present, in whole days, so that it falls into the retention of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sink.producing.payload import TIME_FIELD, Payload, event_time

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What one source holds: its symbol, how many rows, its first time, and when the last row came to be known."""

    symbol: str
    rows: int
    oldest: datetime
    newest: datetime


def span_of(payloads: Iterable[Payload]) -> Span | None:
    """Read through payloads of one symbol for the times they span; None where there are none."""
    symbol, rows, oldest, newest = "", 0, None, None
    for payload in payloads:
        rows += 1
        known = payload.observed_at or event_time(payload)
        symbol, time = payload.symbol, event_time(payload)
        oldest = time if oldest is None else min(oldest, time)
        newest = known if newest is None else max(newest, known)
    if oldest is None or newest is None:
        return None
    return Span(symbol=symbol, rows=rows, oldest=oldest, newest=newest)


def shifts(spans: Sequence[Span], *, anchor: datetime) -> list[timedelta]:
    """Say by how much each source moves, so that its newest row comes to lie within the day before ``anchor``.

    Whole days keep minutes, hours and times of funding as they are. Sources of one symbol, and sources that overlap in
    time, move by the same amount, which keeps trades and candles together and markets comparable; unrelated ones
    (another symbol, another year) move each to the present.
    """
    return [(anchor - max(other.newest for other in group)) // _DAY * _DAY for group in _groups(spans)]


def shifted(payload: Payload, by: timedelta) -> Payload:
    """Give the payload as if everything in it had happened later by so much."""
    changes: dict[str, Any] = {TIME_FIELD[type(payload)]: event_time(payload) + by}
    if payload.observed_at is not None:
        changes["observed_at"] = payload.observed_at + by
    return replace(payload, **changes)


def _groups(spans: Sequence[Span]) -> list[list[Span]]:
    """Give for each span the group that it moves with, itself included."""
    groups: list[list[int]] = []
    for index, span in enumerate(spans):
        joined = [group for group in groups if any(_together(span, spans[other]) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([index, *(other for group in joined for other in group)])
    group_of = {index: [spans[other] for other in group] for group in groups for index in group}
    return [group_of[index] for index in range(len(spans))]


def _together(one: Span, other: Span) -> bool:
    return one.symbol == other.symbol or (one.oldest <= other.newest and other.oldest <= one.newest)
