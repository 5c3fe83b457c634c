"""Shows kept messages: pages, counts, one message with its fields and bytes, what came of a retry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.avro.dissect import Damage, Part
from sink.db.quarantined import Count, Entry, Kept
from sink.quarantine.cures import cure_of
from sink.quarantine.examine import Examined, Verdict
from sink.quarantine.retry import headers_of

ROW = 16
"""Bytes of one line of the hex view."""
_AROUND = 4
"""Lines that are shown before and behind those at fault; the first ones always are."""
_FIRST = 16
_AT_FAULT = "bold white on red"


def show_page(page: Sequence[Entry], following: str | None) -> None:
    """Print a page for people."""
    console = Console()
    if not page:
        console.print("no such message is in quarantine")
        return
    table = Table("message", "state", "reason", "schema", "quarantined", "bytes", "error", box=None, pad_edge=False)
    for entry in page:
        table.add_row(
            f"{entry.partition}:{entry.offset}",
            entry.state,
            Text(entry.reason),
            Text(entry.schema_id or "-"),
            _time(entry.quarantined_at),
            f"{entry.size:,}",
            Text(entry.error),
        )
    console.print(table)
    if following is not None:
        console.print(f"more behind these: --after {following}", highlight=False)


def show_counts(counted: Mapping[str, Sequence[Count]], *, json_output: bool) -> None:
    """Print counts by dataset, reason and writer schema."""
    if json_output:
        typer.echo(json.dumps([_count(name, one) for name, counts in counted.items() for one in counts], indent=2))
        return
    columns = ("dataset", "reason", "schema", "open", "replayed", "dropped", "bytes", "first", "last", "cure")
    table = Table(*columns, box=None, pad_edge=False)
    for name, counts in counted.items():
        for one in counts:
            table.add_row(
                name,
                Text(one.reason),
                Text(one.schema_id or "-"),
                *(f"{one.states[state]:,}" for state in ("open", "replayed", "dropped")),
                f"{one.size:,}",
                _time(one.first),
                _time(one.last),
                Text(cure_of(one.reason)),
            )
    Console().print(table if table.row_count else "nothing is in quarantine")


def _count(dataset: str, count: Count) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "reason": count.reason,
        "schema_id": count.schema_id,
        **{str(state): number for state, number in count.states.items()},
        "bytes": count.size,
        "first": count.first.isoformat(),
        "last": count.last.isoformat(),
        "cure": cure_of(count.reason),
    }


def examined_document(kept: Kept, examined: Examined) -> dict[str, Any]:
    """Give what was found out about a message as JSON holds it; positions count from the value's first byte."""
    verdict = examined.verdict
    return {
        "cure": cure_of(kept.entry.reason),
        "fields": [asdict(part) for part in examined.parts],
        "damage": None if examined.damage is None else asdict(examined.damage),
        "unread": examined.unread,
        "today": None
        if verdict is None
        else {"passes": verdict.reason is None, "reason": verdict.reason, "error": verdict.error},
    }


def show_message(kept: Kept, examined: Examined) -> None:
    """Print one message for people."""
    console, entry = Console(), kept.entry
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, told in _facts(kept, examined.verdict):
        table.add_row(Text(name, style="dim"), Text(told))
    console.print(table)
    if examined.unread:
        console.print(Text(f"\nnot read: {examined.unread}"))
    if examined.parts:
        console.print()
        console.print(_fields(examined.parts, examined.damage))
    if examined.damage is not None:
        console.print(Text(f"\nat fault: {_bytes(examined.damage)}: {examined.damage.error}"))
    if entry.reason == "too_large":
        console.print(Text(f"\nthe value has {len(kept.value or b''):,} bytes"))
    if kept.value is not None:
        console.print()
        for line in hex_view(kept.value, examined.damage):
            console.print(line, soft_wrap=True, highlight=False)


def _facts(kept: Kept, verdict: Verdict | None) -> Iterator[tuple[str, str]]:
    entry = kept.entry
    yield "message", f"{entry.partition}:{entry.offset}"
    yield "state", entry.state
    yield "reason", entry.reason
    yield "error", f"{entry.error}{f' (SQLSTATE {entry.sqlstate})' if entry.sqlstate else ''}"
    yield "cure", cure_of(entry.reason)
    if verdict is None:
        yield "today", "not tried"
    elif verdict.reason is None:
        yield "today", "passes the sink's own checks; what the database says, retry --dry-run tells"
    else:
        yield "today", f"still {verdict.reason}: {verdict.error}"
    yield "schema", entry.schema_id or "-"
    yield "key", _readable(kept.key)
    for name, value in headers_of(kept):
        yield f"header {name}", _readable(value)
    yield "recorded", _time(entry.kafka_at)
    yield "quarantined", _time(entry.quarantined_at)
    if entry.replayed_at is not None:
        yield "replayed", _time(entry.replayed_at)
    if entry.dropped_at is not None:
        yield "dropped", f"{_time(entry.dropped_at)}: {entry.drop_reason}"


def _fields(parts: Sequence[Part], damage: Damage | None) -> Table:
    table = Table("field", "type", "bytes", "value", box=None, pad_edge=False)
    for part in parts:
        hit = damage is not None and damage.start <= part.start and part.end <= damage.end and part.start < part.end
        value = "null" if part.value is None else str(part.value)
        table.add_row(
            Text(part.path),
            Text(part.kind),
            _span(part.start, part.end),
            Text(_printable(value)),
            style="red" if hit else "",
        )
    return table


def hex_view(value: bytes, damage: Damage | None) -> Iterator[Text]:
    """Give the lines of a hex view; the bytes at fault are coloured, and marked below for those without colours."""
    lines = max(1, -(-len(value) // ROW))
    start, end = (damage.start, max(damage.end, damage.start + 1)) if damage is not None else (0, 0)
    first, last = start // ROW, (end - 1) // ROW
    shown = {*range(min(_FIRST, lines))}
    if damage is not None:
        shown |= {line for line in range(first - _AROUND, first + _AROUND + 1) if 0 <= line < lines}
        shown |= {line for line in range(last - 1, last + 2) if 0 <= line < lines}
        shown.add(min(first, lines))  # behind the end, where bytes are missing
    before = -1
    for line in sorted(shown):
        if line > before + 1:
            yield Text("...")
        before = line
        yield from _hex_line(value, line, start, end)
    if before < lines - 1:
        yield Text(f"... {len(value):,} bytes in all")


def _hex_line(value: bytes, line: int, start: int, end: int) -> Iterator[Text]:
    at = line * ROW
    row = value[at : at + ROW]
    text = Text(f"{at:08x}  ", style="dim")
    marks = [start <= at + index < end for index in range(ROW)]
    for index in range(ROW):
        cell = f"{row[index]:02x}" if index < len(row) else "  "
        text.append(cell, style=_AT_FAULT if marks[index] else "not dim")
        text.append(" " if index != ROW // 2 - 1 else "  ")
    text.append(f" {''.join(chr(byte) if 0x20 <= byte < 0x7F else '.' for byte in row)}")  # noqa: PLR2004 (ASCII)
    yield text
    if any(marks):
        under = "".join(
            ("^^" if mark else "  ") + (" " if index != ROW // 2 - 1 else "  ") for index, mark in enumerate(marks)
        )
        yield Text(f"{'':10}{under.rstrip()}", style="red")


def show_retried(document: Mapping[str, Any]) -> None:
    """Print what came of a retry, or would."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("retry" if not document["dry_run"] else "dry run, nothing was written", document["topic"])
    for name, value in document.items():
        if isinstance(value, Mapping):
            for reason, count in sorted(value.items()):
                table.add_row(f"  {reason}", f"{count:,}")
        elif isinstance(value, int) and name != "dry_run":
            table.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(table)


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _bytes(damage: Damage) -> str:
    if damage.end <= damage.start:
        return f"byte {damage.start}, which is not there"
    return f"byte {damage.start}" if damage.end == damage.start + 1 else f"bytes {damage.start} to {damage.end - 1}"


def _span(start: int, end: int) -> str:
    return f"{start}-{end - 1}" if end > start + 1 else str(start)


def _readable(raw: bytes | None) -> str:
    if raw is None:
        return "null"
    try:
        return _printable(raw.decode())
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"


def _printable(text: str) -> str:
    """Show text of others without what would move a terminal's cursor."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
