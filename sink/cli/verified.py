"""Shows what a verification found: the document for machines, tables for people, the commands that mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.cli.picture import draw, drawn_on
from sink.cli.replayed import legible, plain
from sink.datasets import Dataset
from sink.db.replays import COUNTS
from sink.inspection import mending
from sink.inspection.chain import Fault, Judged
from sink.inspection.compare import FAULTS, Verdict
from sink.inspection.deep import Comparison, Found
from sink.inspection.intervals import Interval
from sink.ledger import Source

_MEANING = {
    Verdict.EQUAL: "the row is what the newest message says",
    Verdict.MISSING: "the newest message has no row",
    Verdict.STALE: "an older version than the newest message",
    Verdict.CHANGED: "the row names its message, but holds other values",
    Verdict.MISNAMED: "the row names a message that says otherwise",
    Verdict.UNEXPECTED: "no message has this key",
    Verdict.EXPIRED: "no row; retention has passed its time",
    Verdict.OVERRIDDEN: "written by the repository after the newest message",
    Verdict.REPOSITORY: "written by the repository; no message has this key",
    Verdict.LATER: "from a message behind those that were read (the sink goes on)",
    Verdict.OUTSIDE: "from a message that was not read, or that Kafka no longer has",
}
_UNREPLAYABLE = (Verdict.CHANGED, Verdict.MISNAMED, Verdict.UNEXPECTED)
"""A replay leaves such rows as they are: their order is not below that of any message."""
_MOST_PLACES = 20
Deep = tuple[Comparison, Found, Mapping[int, Interval], float]


def document(
    dataset: Dataset, source: Source, judged: Sequence[Judged], *, notes: Sequence[str], deep: Deep | None, further: str
) -> dict[str, Any]:
    """Make the document that docs/verify.md describes; ``further`` ends the commands that mend."""
    faults = [fault for one in judged for fault in one.faults]
    again = {one.standing.partition: list(one.holes) for one in judged if one.holes}
    if deep is not None:
        for number, intervals in deep[1].again.items():
            again[number] = [*again.get(number, []), *intervals]
    stretches = mending.stretches(again, {one.standing.partition: one.standing.log for one in judged})
    return {
        "dataset": dataset.name,
        "sink_id": source.sink_id,
        "topic": source.topic,
        "clean": not faults and (deep is None or not deep[1].faults),
        "partitions": [_partition(one) for one in judged],
        "faults": [_fault(fault) for fault in faults],
        "deep": None if deep is None else _deep(dataset, *deep),
        "ranges": [
            {"partition": number, "from": start, "to": end}
            for number, intervals in stretches.items()
            for start, end in intervals
        ],
        "replay": mending.replays(dataset.name, stretches, further=further),
        "notes": list(notes),
    }


def _partition(one: Judged) -> dict[str, Any]:
    counts = {name.removeprefix("rows_"): one.counts[name] for name in COUNTS}
    return {
        "partition": one.standing.partition,
        "position": one.standing.position,
        "log_start": one.standing.log[0],
        "log_end": one.standing.log[1],
        "proven_from": one.proven[0],
        "proven_to": one.proven[1],
        "unread": one.unread,
        "entries": one.counts["entries"],
        "rewinds": one.counts["rewinds"],
        **counts,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "kind": fault.kind.value,
        "partition": fault.partition,
        "from": fault.start,
        "to": fault.end,
        "found": fault.found,
    }


def _deep(
    dataset: Dataset, comparison: Comparison, found: Found, ranges: Mapping[int, Interval], seconds: float
) -> dict[str, Any]:
    samples = [_sample(dataset, one) for one in found.samples]
    stuck = [one["key"] for one in samples if Verdict(one["verdict"]) in _UNREPLAYABLE][:_MOST_PLACES]
    return {
        "partitions": [{"partition": number, "from": start, "to": end} for number, (start, end) in ranges.items()],
        "messages": comparison.messages,
        "bad": comparison.bad,
        "rows": comparison.rows,
        "verdicts": {verdict.value: found.counts[verdict] for verdict in Verdict},
        "unquarantined": found.unkept,
        "columns": dict(found.columns),
        "samples": samples,
        "delete_first": _delete(dataset, stuck),
        "seconds": round(seconds, 3),
        "rate": round(comparison.messages / seconds, 1) if seconds else 0.0,
    }


def _sample(dataset: Dataset, one: Mapping[str, Any]) -> dict[str, Any]:
    told = _place(one, "") if one["source_offset"] is not None else None
    row = _place(one, "_table") if one["source_offset_table"] is not None else None
    compared = [name for name in one if f"{name}_table" in one and not name.startswith("source_")]
    differing = [
        name for name in compared if told is None or row is None or plain(one[name]) != plain(one[f"{name}_table"])
    ]
    return {
        "verdict": one["verdict"],
        "key": {name: plain(one[name]) for name in dataset.key},
        "message": told,
        "row": row,
        "columns": {
            name: {
                "message": None if told is None else plain(one[name]),
                "row": None if row is None else plain(one[f"{name}_table"]),
            }
            for name in differing
        },
    }


def _place(one: Mapping[str, Any], suffix: str) -> dict[str, int]:
    return {"partition": one[f"source_partition{suffix}"], "offset": one[f"source_offset{suffix}"]}


def _delete(dataset: Dataset, keys: Sequence[Mapping[str, Any]]) -> str | None:
    """Write the statement that removes rows which a replay would leave as they are, if their keys can be typed."""
    keys = [key for key in keys if all(str(value).isprintable() for value in key.values())]
    if not keys:
        return None
    named = ", ".join(f"({', '.join(_literal(value) for value in key.values())})" for key in keys)
    return f"DELETE FROM {dataset.name} WHERE ({', '.join(dataset.key)}) IN ({named})"  # noqa: S608 (for a person)


def _literal(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def show(document: Mapping[str, Any], *, picture: Path | None) -> None:
    """Print the document for people; into ``picture`` as SVG as well."""
    console = drawn_on(picture)
    console.print(_ledger(document))
    if document["deep"] is not None:
        console.print()
        console.print(_comparison(document["deep"]))
        for sample in document["deep"]["samples"]:
            _show_sample(console, sample)
    for fault in document["faults"]:
        console.print(
            f"{fault['kind']} {fault['partition']}:{fault['from']}-{fault['to']}: {fault['found']}",
            style="red",
            markup=False,
            highlight=False,
        )
    _show_cure(console, document)
    draw(console, picture, title=f"sink verify {document['dataset']}")


def _ledger(document: Mapping[str, Any]) -> Table:
    names = ("messages", "written", "not_newer", "deduplicated", "ignored", "quarantined")
    shown = ("partition", "accounted for", "position", "log", "unread", *(name.replace("_", " ") for name in names))
    table = Table(*shown, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for one in document["partitions"]:
        position = "-" if one["position"] is None else str(one["position"])
        log = f"{one['log_start']}-{one['log_end']}"
        proven = f"{one['proven_from']}-{one['proven_to']}"
        counts = [f"{one[name]:,}" for name in names]
        table.add_row(str(one["partition"]), proven, position, log, f"{one['unread']:,}", *counts)
    return table


def _comparison(deep: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    told = f"{deep['messages']:,} messages against {deep['rows']:,} rows in {deep['seconds']:.1f} s"
    table.add_row("compared", "", f"{told}, {deep['rate']:,.0f} messages/s")
    for verdict in Verdict:
        count = deep["verdicts"][verdict.value]
        if count:
            style = "red" if verdict in FAULTS else "green" if verdict is Verdict.EQUAL else "yellow"
            table.add_row(Text(verdict.value, style=style), Text(f"{count:,}", justify="right"), _MEANING[verdict])
    if deep["unquarantined"]:
        count = Text(f"{deep['unquarantined']:,}", justify="right")
        table.add_row(Text("unquarantined", style="red"), count, "bad messages that are not in quarantine")
    if deep["columns"]:
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(deep["columns"].items()))
        table.add_row("", "", f"columns that were changed: {counts}")
    return table


def _show_sample(console: Console, sample: Mapping[str, Any]) -> None:
    key = ", ".join(map(legible, sample["key"].values()))
    console.print(f"\n{sample['verdict']} {key}", markup=False, highlight=False, soft_wrap=not console.record)
    table = Table("column", "message", "row", box=None, pad_edge=False)
    table.add_row("partition/offset", _shown_place(sample["message"]), _shown_place(sample["row"]))
    for name, values in sample["columns"].items():
        table.add_row(name, *(Text(legible(value)) for value in values.values()))
    console.print(table)


def _shown_place(place: Mapping[str, int] | None) -> str:
    return "none" if place is None else f"{place['partition']}/{place['offset']}"


def _show_cure(console: Console, document: Mapping[str, Any]) -> None:
    console.print()
    if document["clean"]:
        unread = sum(one["unread"] for one in document["partitions"])
        lag = f"; {unread:,} messages are yet to be read" if unread else ""
        what = "and every row is as the log says" if document["deep"] else "by the ledger"
        console.print(f"clean: every offset is accounted for, {what}{lag}", style="green", markup=False)
        return
    if document["deep"] is not None and document["deep"]["delete_first"]:
        console.print("rows that a replay leaves as they are, because their order says that they are newest; first:")
        console.print(
            f"  {document['deep']['delete_first']}", markup=False, highlight=False, soft_wrap=not console.record
        )
    if document["replay"]:
        held = " ".join(f"{one['partition']}:{one['from']}-{one['to']}" for one in document["ranges"][:_MOST_PLACES])
        more = " ..." if len(document["ranges"]) > _MOST_PLACES else ""
        console.print(f"to be read again: {held}{more}", markup=False, highlight=False, soft_wrap=not console.record)
        for command in document["replay"]:
            console.print(f"  {command}", markup=False, highlight=False, soft_wrap=not console.record)
