"""Compares tables, quarantine and ledger with the truth, row by row and column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.chaos.messages import DATASET
from tests.chaos.truth import Truth

_SHOWN = 10
_COUNTS = ("rows_written", "rows_not_newer", "rows_deduplicated", "ignored", "quarantined")


@dataclass(slots=True)
class Findings:
    """What differs from the truth, a sentence each."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    regressed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Neither: other columns, rows or bookkeeping that nothing accounts for."""

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.regressed or self.wrong)

    def __str__(self) -> str:
        kinds = {"lost": self.lost, "doubled": self.doubled, "regressed": self.regressed, "wrong": self.wrong}
        return "\n".join(f"{len(found)} {kind}: " + "; ".join(found[:_SHOWN]) for kind, found in kinds.items() if found)


def compare(truth: Truth, connection: psycopg.Connection, *, sink_id: str, topic: str) -> Findings:
    """Find everything in which the database differs from what the topic says."""
    findings = Findings()
    with connection.transaction(), connection.cursor() as cursor:
        _compare_rows(truth, cursor, findings)
        _compare_quarantine(truth, cursor, findings, sink_id, topic)
        _compare_ledger(truth, cursor, findings, sink_id, topic)
    return findings


def _compare_rows(truth: Truth, cursor: psycopg.Cursor, findings: Findings) -> None:
    seen = set()
    cursor.execute(
        "SELECT symbol, trade_ts, trade_id, price, quantity, is_buyer_maker, side, observed_at, source_offset,"
        f" source_partition FROM {DATASET} WHERE created_at IS NOT NULL"
    )
    for row in cursor:
        key, values, version = row[:3], row[3:7], row[7:]
        if key in seen:
            findings.doubled.append(f"row {key}")
            continue
        seen.add(key)
        winner = truth.rows.get(key)
        if winner is None:
            findings.wrong.append(f"row {key} that no message tells of")
        elif version < winner.version:
            findings.regressed.append(f"row {key} has version {version}, not {winner.version}")
        elif version != winner.version:
            findings.wrong.append(f"row {key} has version {version}, which is not there, instead of {winner.version}")
        elif values != winner.values:
            findings.wrong.append(f"row {key} of version {version} holds {values}, not {winner.values}")
    findings.lost += [f"row {key} of version {truth.rows[key].version}" for key in truth.rows.keys() - seen]


def _compare_quarantine(truth: Truth, cursor: psycopg.Cursor, findings: Findings, sink_id: str, topic: str) -> None:
    seen = set()
    cursor.execute(
        'SELECT partition, "offset", reason, key, value, headers, kafka_at, replayed_at, dropped_at'
        " FROM sink.quarantine WHERE sink_id = %s AND topic = %s",
        (sink_id, topic),
    )
    for partition, offset, *found in cursor:
        seen.add((partition, offset))
        bad = truth.bad.get((partition, offset))
        if bad is None:
            findings.wrong.append(f"good message {partition}/{offset} in quarantine: {found[0]}")
        elif found != [bad.reason, bad.key, bad.value, bad.headers, bad.at, None, None]:
            findings.wrong.append(f"bad message {partition}/{offset} lies in quarantine as {found}, not as {bad}")
    findings.lost += [f"bad message {number}/{offset}" for number, offset in truth.bad.keys() - seen]


def _compare_ledger(truth: Truth, cursor: psycopg.Cursor, findings: Findings, sink_id: str, topic: str) -> None:
    cursor.execute(
        "SELECT partition, next_offset FROM sink.positions WHERE sink_id = %s AND topic = %s", (sink_id, topic)
    )
    positions: dict[int, int] = dict(cursor.fetchall())
    for number, end in truth.ends.items():
        if positions.get(number, 0) < end:
            findings.lost.append(f"messages {number}/[{positions.get(number, 0)}, {end}) are not durable")
        elif positions.get(number, 0) > end:
            findings.wrong.append(f"position {number}/{positions[number]} lies behind the log's end {end}")
    chain = dict.fromkeys(positions, 0)
    counts: Counter[str] = Counter()
    for entry in _entries(cursor, sink_id, topic):
        counts.update({name: entry[name] for name in ("messages", *_COUNTS)})
        if entry["kind"] == "rewind":
            counts["rewound"] += entry["from_offset"] - entry["to_offset"]
        _continue(chain, entry, findings)
    for number, position in positions.items():
        if position != chain[number]:
            findings.wrong.append(f"position {number}/{position} is not where the ledger ends, {chain[number]}")
    _compare_counts(truth, counts, findings)


def _continue(chain: dict[int, int], entry: Mapping[str, Any], findings: Findings) -> None:
    """Follow the ledger's chain: every entry begins where the one before it ended."""
    number, start, end = entry["partition"], entry["from_offset"], entry["to_offset"]
    before = chain.get(number, 0)
    stretch = f"ledger entry {entry['id']} ({entry['kind']}) of {number}/[{start}, {end}), after {before}"
    if start > before:
        findings.lost.append(f"hole: {stretch}")
    elif start < before:
        findings.doubled.append(f"overlap: {stretch}")
    if end < start and entry["kind"] != "rewind":
        findings.wrong.append(f"backwards: {stretch}")
    chain[number] = end


def _compare_counts(truth: Truth, counts: Counter[str], findings: Findings) -> None:
    expected = truth.messages + counts["rewound"]
    if counts["messages"] != expected:
        kind = findings.lost if counts["messages"] < expected else findings.doubled
        kind.append(f"the ledger counts {counts['messages']} messages of {expected}")
    if counts["messages"] != sum(counts[name] for name in _COUNTS):
        findings.wrong.append(f"the ledger's counts do not add up: {dict(counts)}")
    if not counts["rewound"] and counts["quarantined"] != len(truth.bad):
        findings.wrong.append(f"the ledger counts {counts['quarantined']} quarantined of {len(truth.bad)}")


def _entries(cursor: psycopg.Cursor, sink_id: str, topic: str) -> Iterator[dict[str, Any]]:
    names = ("id", "partition", "from_offset", "to_offset", "kind", "messages", *_COUNTS)
    cursor.execute(
        f"SELECT {', '.join(names)} FROM sink.flushes WHERE sink_id = %s AND topic = %s ORDER BY id",
        (sink_id, topic),
    )
    for row in cursor:
        yield dict(zip(names, row, strict=True))
