"""Shows what replays do and did: notes, a progress bar, the summary, the list of known ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sink.db.rehearsing import Difference
from sink.db.replays import Known
from sink.db.upsert import ORDER
from sink.replaying import run
from sink.replaying.flushers import Foreseen, place_of

log = structlog.get_logger(__name__)

LOG_EVERY = 30.0
"""Seconds between two lines of progress where nobody watches."""

_WORDS = {
    "messages": "messages",
    "rows_written": "written",
    "rows_not_newer": "not_newer",
    "rows_deduplicated": "deduplicated",
    "ignored": "ignored",
    "quarantined": "quarantined",
    "late": "late",
}
_SHOWN = (
    "messages",
    "would_insert",
    "would_update",
    "written",
    "not_newer",
    "deduplicated",
    "ignored",
    "quarantined",
    "would_quarantine",
    "late",
)


def say(sentence: str) -> None:
    """Tell something on stderr."""
    Console(stderr=True).print(sentence, markup=False, highlight=False, soft_wrap=True)


def totals(counts: Mapping[str, int]) -> dict[str, Any]:
    """Give the ledger's sums of a replay as the summary names them."""
    return {word: counts[name] for name, word in _WORDS.items()}


def foreseen_counts(foreseen: Foreseen, *, key: Sequence[str]) -> dict[str, Any]:
    """Give what a dry run found as the summary names it; ``key`` are the columns of the primary key."""
    counts = foreseen.counts
    return {
        "messages": counts["messages"],
        "would_insert": foreseen.inserts,
        "would_update": foreseen.updates,
        "not_newer": counts["not_newer"],
        "deduplicated": counts["deduplicated"],
        "ignored": counts["ignored"],
        "would_quarantine": counts["quarantined"],
        "would_quarantine_by_reason": dict(foreseen.reasons),
        "late": counts["late"],
        "samples": [_sample(one, key) for one in (*foreseen.replaced, *foreseen.added)],
    }


def _sample(difference: Difference, key: Sequence[str]) -> dict[str, Any]:
    partition, offset = place_of(difference)
    before, after = difference.before, difference.after
    columns = [name for name in after if name not in (*key, *ORDER)]
    told: dict[str, Any] = {
        "action": "insert" if before is None else "update",
        "key": {name: plain(after[name]) for name in key},
        "partition": partition,
        "offset": offset,
    }
    if before is not None:
        told["old_partition"], told["old_offset"] = before["source_partition"], before["source_offset"]
    changed = [name for name in columns if before is None or before[name] != after[name]]
    told["columns"] = {
        name: {"old": None if before is None else plain(before[name]), "new": plain(after[name])} for name in changed
    }
    return told


def plain(value: object) -> object:
    """Make a value fit for JSON; exact numbers as text without trailing zeros."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat() if isinstance(value, datetime) else value


def show(document: Mapping[str, Any]) -> None:
    """Print a summary for people, to keep."""
    table = Table(show_header=False, box=None, pad_edge=False)
    what = "dry run, nothing was written" if document["dry_run"] else f"replay {document['replay'] or '(none)'}"
    table.add_row(what, f"{document['topic']} into {document['dataset']}")
    for part in document["partitions"]:
        table.add_row(f"partition {part['partition']}", f"[{part['from']}, {part['to']})", style="dim")
    by_reason = document.get("quarantined_by_reason") or document.get("would_quarantine_by_reason") or {}
    for name in _SHOWN:
        if name in document:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(by_reason.items()))
            told = f" ({reasons})" if reasons and name.endswith(("quarantined", "quarantine")) else ""
            table.add_row(name.replace("_", " "), f"{document[name]:,}{told}")
    table.add_row("time", f"{document['seconds']:.1f} s, {document['rate']:,.0f} messages/s")
    console = Console()
    console.print(table, markup=False)
    for sample in document.get("samples", ()):
        key = ", ".join(map(legible, sample["key"].values()))
        console.print(f"\n{sample['action']} {key}", markup=False, highlight=False, soft_wrap=True)
        console.print(_sample_table(sample))


def _sample_table(sample: Mapping[str, Any]) -> Table:
    before = f"{sample['old_partition']}/{sample['old_offset']}" if "old_offset" in sample else "no row"
    table = Table("column", "old", "new", box=None, pad_edge=False)
    table.add_row("partition/offset", before, f"{sample['partition']}/{sample['offset']}")
    for name, values in sample["columns"].items():
        table.add_row(name, Text(legible(values["old"])), Text(legible(values["new"])))
    return table


def legible(value: object) -> str:
    """Write a value for a terminal; what a message holds may be meant to play tricks on it."""
    text = "-" if value is None else str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def show_list(known: Sequence[Known], *, json_output: bool) -> None:
    """Print the replays that the database knows."""
    if json_output:
        typer.echo(json.dumps([_entry(one) for one in known], indent=2))
        return
    table = Table("replay", "dataset", "state", "done", "of", "begun", "last heard of", "by", box=None, pad_edge=False)
    for one in known:
        dataset = one.sink_id.rpartition(".")[2]
        times = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (one.created_at, one.seen_at))
        table.add_row(one.id, dataset, _state(one), f"{one.done:,}", f"{one.total:,}", *times, Text(one.owner or "-"))
    Console().print(table if known else "no replays")


def show_discarded(known: Known, *, json_output: bool) -> None:
    """Say what was forgotten, as it stood before."""
    if json_output:
        typer.echo(json.dumps(_entry(known), indent=2))
    else:
        say(f"replay {known.id} is forgotten; {known.done:,} of its {known.total:,} offsets were done, and stay so")


def _state(known: Known) -> str:
    if known.finished_at is not None:
        return "finished"
    return "running" if known.alive else "interrupted"


def _entry(known: Known) -> dict[str, Any]:
    return {
        "replay": known.id,
        "sink_id": known.sink_id,
        "topic": known.topic,
        "state": _state(known),
        "partitions": [
            {"partition": number, "from": start, "to": end, "next": known.positions.get(number)}
            for number, (start, end) in sorted(known.ranges.items())
        ],
        "symbols": list(known.symbols or ()),
        "done": known.done,
        "total": known.total,
        "owner": known.owner or None,
        "created_at": known.created_at.isoformat(),
        "seen_at": known.seen_at.isoformat(),
        "finished_at": known.finished_at.isoformat() if known.finished_at else None,
    }


class _Speed(ProgressColumn):
    """Offsets a second, lately."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


@contextmanager
def progress_bar(title: str) -> Iterator[run.Progress]:
    """Show progress with rate and time left on a terminal, a line in the log now and then elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Logged(title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Logged:
    def __init__(self, title: str) -> None:
        self._title = title
        self._next = time.monotonic() + LOG_EVERY

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next += LOG_EVERY
            log.info("progress", what=self._title, done=done, total=total)
