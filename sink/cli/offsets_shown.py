"""Shows positions, and what an import makes of them: tables for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.adoption import Step
from sink.cli.offsets_import import Import
from sink.cli.status import WIDE, iso, part_document
from sink.cli.status_view import commit_of, count
from sink.inspection.status import Part
from sink.ledger import Source
from sink.replaying.ranges import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The positions of one dataset; ``recorded`` is when the messages were recorded at which they stand."""

    dataset: str
    source: Source
    topic_id: str | None
    parts: Sequence[Part]
    recorded: Mapping[int, datetime] = field(default_factory=dict)

    def at(self, recorded: Mapping[int, datetime]) -> Shown:
        """Give the same with times."""
        return replace(self, recorded=recorded)


def console_of() -> Console:
    """Give the console for wide tables."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


def show_parts(found: Sequence[Shown], *, times: bool) -> None:
    """Print positions."""
    table = Table(box=None, pad_edge=False)
    table.add_column("dataset", no_wrap=True)
    for name in ("partition", "position", "Kafka's commit", "log start", "log end", "lag"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("next message of",) if times else ():
        table.add_column(name, no_wrap=True)
    for name in ("claimed", "owner"):
        table.add_column(name, no_wrap=True)
    for one in found:
        for part in one.parts:
            table.add_row(
                one.dataset,
                str(part.partition),
                count(part.position),
                commit_of(part),
                *(count(number) for number in (part.log_start, part.log_end, part.lag)),
                *((_time(one.recorded.get(part.partition)),) if times else ()),
                _time(part.claimed_at),
                Text(part.owner or "-"),
            )
    console_of().print(table)


def shown_document(cluster_id: str, found: Sequence[Shown]) -> dict[str, Any]:
    """Give positions for machines."""
    return {
        "cluster_id": cluster_id,
        "datasets": [
            {
                "dataset": one.dataset,
                "sink_id": one.source.sink_id,
                "topic": one.source.topic,
                "topic_id": one.topic_id,
                "partitions": [
                    part_document(part) | {"next_recorded_at": iso(one.recorded.get(part.partition))}
                    for part in one.parts
                ],
            }
            for one in found
        ],
    }


def show_steps(imports: Sequence[Import]) -> None:
    """Print before and after."""
    table = Table(box=None, pad_edge=False)
    table.add_column("dataset", no_wrap=True)
    for name in ("partition", "before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("that is", no_wrap=True)
    for one in imports:
        for step in one.steps:
            after = step.before if step.after is None else step.after
            table.add_row(one.dataset, str(step.partition), count(step.before), count(after), _meaning(step))
    console_of().print(table)


def _meaning(step: Step) -> str:
    start, end = step.log
    if step.after is None:
        return f"no offset to take over: begins at the log's start, {start:,}"
    ahead = f"{end - step.after:,} messages to read"
    if step.kind == "new":
        return f"new; {step.after - start:,} before it left out, {ahead}"
    before = step.before or 0
    if step.kind == "rewind":
        return f"back; {before - step.after:,} read again at most, {ahead}"
    return f"forward; {step.after - before:,} left out, {ahead}" if step.kind == "skip" else f"unchanged; {ahead}"


def imported(imports: Sequence[Import], origin: str) -> dict[str, Any]:
    """Give what an import did, for machines."""
    return {
        "origin": origin,
        "datasets": [
            {
                "dataset": one.dataset,
                "sink_id": one.source.sink_id,
                "topic": one.source.topic,
                "partitions": [
                    {"partition": step.partition, "before": step.before, "after": step.after, "kind": step.kind}
                    for step in one.steps
                ],
            }
            for one in imports
        ],
    }


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else shown(moment)
