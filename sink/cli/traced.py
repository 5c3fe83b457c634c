"""Shows what a trace found: the document for machines, tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.cli.replayed import legible, plain
from sink.datasets import Dataset
from sink.db.accounts import Account
from sink.inspection.tracing import Place, Raw, Traced, Version, is_newer


def row_document(
    dataset: Dataset, row: Mapping[str, Any], entries: Sequence[Account], found: Traced | str | None
) -> dict[str, Any]:
    """Make the entry of one row in the document of docs/verify.md; ``found`` may say why no message was found."""
    place = (row["source_partition"], row["source_offset"])
    told = found.told if isinstance(found, Traced) else None
    return {
        "key": {name: plain(row[name]) for name in dataset.key},
        "values": {name: plain(row[name]) for name in dataset.columns if name not in dataset.key},
        "created_at": plain(row["created_at"]),
        "observed_at": plain(row["observed_at"]),
        "origin": "repository" if found is None else "message",
        "partition": place[0],
        "offset": place[1],
        "flushes": [_entry(entry) for entry in entries],
        "message": _message(found.raw, told) if isinstance(found, Traced) and found.raw is not None else None,
        "why_no_message": _why(found),
        "agrees": None if told is None else _agrees(told, row, dataset),
        "versions": [_version(one, row, place, dataset) for one in found.others] if isinstance(found, Traced) else [],
    }


def _why(found: Traced | str | None) -> str | None:
    if found is None:
        return "the row was written by the repository or by hand, not from a message"
    if isinstance(found, str):
        return found
    return "there is no message at that offset" if found.raw is None else None


def _entry(entry: Account) -> dict[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "replay": entry.replay_id,
        "owner": entry.owner,
        "from": entry.from_offset,
        "to": entry.to_offset,
        "opened_at": entry.opened_at.isoformat(),
        "committed_at": entry.at.isoformat(),
        "schema_ids": list(entry.schema_ids),
    }


def _message(raw: Raw, told: Version | None) -> dict[str, Any]:
    return {
        "kafka_at": plain(raw.kafka_at),
        "schema_id": raw.schema_id,
        "key": None if raw.key is None else raw.key.decode("utf-8", "backslashreplace"),
        "size": raw.size,
        "headers": list(raw.headers),
        "refused": raw.refused,
        "values": None if told is None else {name: plain(value) for name, value in told.values.items()},
    }


def _version(one: Version, row: Mapping[str, Any], place: Place, dataset: Dataset) -> dict[str, Any]:
    return {
        "partition": one.place[0],
        "offset": one.place[1],
        "observed_at": plain(one.observed_at),
        "newer": is_newer(one, row["observed_at"], place),
        "differing": {name: plain(one.values[name]) for name in dataset.columns if one.values[name] != row[name]},
    }


def _agrees(told: Version, row: Mapping[str, Any], dataset: Dataset) -> bool:
    return told.observed_at == row["observed_at"] and all(told.values[name] == row[name] for name in dataset.columns)


def show(document: Mapping[str, Any]) -> None:
    """Print the document for people."""
    console = Console()
    for row in document["rows"]:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_row("row", Text(" ".join(map(legible, row["key"].values())), style="bold"))
        for name, value in row["values"].items():
            table.add_row(Text(f"  {name}", style="dim"), Text(legible(value)))
        table.add_row("first written", Text(legible(row["created_at"])))
        table.add_row("observed", Text(legible(row["observed_at"])))
        if row["origin"] == "message":
            table.add_row("came from", Text(f"{document['topic']}/{row['partition']} offset {row['offset']}"))
            _add_entries(table, row["flushes"])
        _add_message(table, row)
        for version in row["versions"]:
            _add_version(table, version)
        console.print(table)
        console.print()


def _add_entries(table: Table, entries: Sequence[Mapping[str, Any]]) -> None:
    if not entries:
        table.add_row("flush", "the ledger no longer has it")
    for entry in entries:
        what = entry["kind"] if entry["replay"] is None else f"replay {entry['replay']}"
        schemas = f", schema {', '.join(entry['schema_ids'])}" if entry["schema_ids"] else ""
        stretch = f"[{entry['from']}, {entry['to']}) by {entry['owner']}, until {entry['committed_at']}{schemas}"
        table.add_row(Text(what), Text(f"entry {entry['id']}: {stretch}"))


def _add_message(table: Table, row: Mapping[str, Any]) -> None:
    message = row["message"]
    if message is None:
        table.add_row("message", Text(row["why_no_message"]))
        return
    about = f"recorded {message['kafka_at']}, schema {message['schema_id']}, {message['size']} bytes"
    table.add_row("message", Text(f"{about}, key {legible(message['key'])}"))
    if message["headers"]:
        table.add_row("  headers", Text(", ".join(map(legible, message["headers"]))))
    if message["refused"] is not None:
        table.add_row("", Text(f"it cannot be decoded: {legible(message['refused'])}", style="red"))
    elif message["values"] is None:
        table.add_row("", Text("it speaks of another key: the row was changed by hand", style="red"))
    elif row["agrees"]:
        table.add_row("", Text("says what the row holds", style="green"))
    else:
        table.add_row("", Text("says otherwise: the row was changed by hand", style="red"))
        for name, value in message["values"].items():
            held = row["values"].get(name, row["key"].get(name))
            if value != held:
                table.add_row(Text(f"  {name}", style="dim"), Text(f"{legible(value)} (the row holds {legible(held)})"))


def _add_version(table: Table, version: Mapping[str, Any]) -> None:
    what = "newer version" if version["newer"] else "not newer"
    differing = (
        ", ".join(f"{name} {legible(value)}" for name, value in version["differing"].items()) or "the same values"
    )
    table.add_row(
        Text(what), Text(f"{version['partition']}/{version['offset']} at {version['observed_at']}: {differing}")
    )
