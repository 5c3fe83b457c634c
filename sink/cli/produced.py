"""How ``sink produce`` tells what it has sent: a table for people, JSON for machines, warnings on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import typer
from rich.console import Console
from rich.table import Table

from sink.datasets import DATASETS
from sink.producing.sending import Count
from sink.producing.sources import Notes, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """One finished run: its sources, the seconds until all was delivered, and where the messages went."""

    sources: Sequence[Source]
    seconds: float
    partitions: Mapping[str, Mapping[int, int]]
    """Delivered messages by dataset and partition; empty after a dry run."""
    dry_run: bool

    @property
    def rows(self) -> int:
        """How many payloads were sent."""
        return sum(source.counts.rows for source in self.sources)

    def datasets(self) -> dict[str, Count]:
        """Sum the counts over the sources, in the order of DATASETS."""
        total: dict[str, Count] = {}
        for name in DATASETS:
            counts = [source.counts.datasets[name] for source in self.sources if name in source.counts.datasets]
            if counts:
                total[name] = Count(
                    rows=sum(count.rows for count in counts),
                    beyond_retention=sum(count.beyond_retention for count in counts),
                )
        return total


def show(produced: Produced, *, console: Console) -> None:
    """Print a run as a table on a terminal, as plain lines elsewhere."""
    rows = [
        (
            source.name,
            dataset,
            f"{count.rows:,}",
            _shift(source.shift),
            f"{source.bad_lines.count:,}",
            _partitions(produced, dataset),
        )
        for source in produced.sources
        for dataset, count in source.counts.datasets.items()
    ]
    headings = ("source", "dataset", "rows", "moved by", "bad lines", "partitions")
    if console.is_terminal:
        table = Table(*headings)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        for row in rows:
            typer.echo("  ".join(f"{heading}: {cell}" for heading, cell in zip(headings, row, strict=True)))
    verb = "read and checked, nothing produced" if produced.dry_run else "produced"
    typer.echo(f"{produced.rows:,} rows {verb} in {produced.seconds:.1f} s ({_per_second(produced):,} rows/s)")


def as_json(produced: Produced) -> str:
    """Give a run as one JSON object."""
    return json.dumps(
        {
            "dry_run": produced.dry_run,
            "rows": produced.rows,
            "seconds": round(produced.seconds, 3),
            "rows_per_second": _per_second(produced),
            "datasets": {
                name: {
                    "rows": count.rows,
                    "beyond_retention": count.beyond_retention,
                    "partitions": {str(number): rows for number, rows in produced.partitions.get(name, {}).items()},
                }
                for name, count in produced.datasets().items()
            },
            "sources": [_source(source) for source in produced.sources],
        },
        indent=2,
    )


def warnings(produced: Produced) -> Iterator[str]:
    """Give what a person should know of the run: lines left out or rounded, rows that retention drops again."""
    for source in produced.sources:
        yield from _lines(source.bad_lines, what="lines could not be read and were left out", source=source)
        yield from _lines(source.rounded_lines, what="lines hold too many digits and were rounded", source=source)
    for name, count in produced.datasets().items():
        retain = DATASETS[name].retain
        if count.beyond_retention and retain is not None:
            yield (
                f"{count.beyond_retention:,} of {count.rows:,} rows of {name} are older than the {retain.days} "
                "days that the table keeps, so that its retention drops them; --shift-to-now moves files to the present"
            )


def _source(source: Source) -> dict[str, object]:
    return {
        "name": source.name,
        "rows": {name: count.rows for name, count in source.counts.datasets.items()},
        "seconds": round(source.seconds, 3),
        "moved_by_days": source.shift.days,
        "bad_lines": source.bad_lines.count,
        "rounded_lines": source.rounded_lines.count,
        "notes": [str(note) for note in (*source.bad_lines.first, *source.rounded_lines.first)],
    }


def _lines(notes: Notes, *, what: str, source: Source) -> Iterator[str]:
    if notes.count:
        yield f"{source.name}: {notes.count:,} {what}"
        yield from (f"  {note}" for note in notes.first)
        if notes.count > len(notes.first):
            yield f"  and {notes.count - len(notes.first):,} more"


def _shift(by: timedelta) -> str:
    return f"{by.days:+,} days" if by else "-"


def _partitions(produced: Produced, dataset: str) -> str:
    counts = produced.partitions.get(dataset, {})
    return " ".join(f"{partition}:{count:,}" for partition, count in counts.items()) or "-"


def _per_second(produced: Produced) -> int:
    return round(produced.rows / produced.seconds) if produced.seconds else 0
