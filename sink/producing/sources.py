"""What one run of producing sends: dump files, moved to the present or not, or a simulated market."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sink.errors import ConfigError
from sink.producing.dumps import Dump, LineNote, identify, read, stop
from sink.producing.payload import Payload
from sink.producing.sending import Counts
from sink.producing.shift import Span, shifted, shifts, span_of
from sink.producing.simulator import Plan, simulate

MOST_NOTES = 20
"""So many lines are named; all are counted."""


@dataclass(slots=True, kw_only=True)
class Notes:
    """Lines of which something is to be said: all counted, the first ones kept."""

    count: int = 0
    first: list[LineNote] = field(default_factory=list)

    def add(self, note: LineNote) -> None:
        """Take one more."""
        self.count += 1
        if len(self.first) < MOST_NOTES:
            self.first.append(note)


@dataclass(slots=True, kw_only=True)
class Source:
    """One stream of payloads, and what became of it."""

    name: str
    payloads: Callable[[], Iterator[Payload]]
    counts: Counts
    total: int | None = None
    """How many payloads there will be, where that is known."""
    shift: timedelta = timedelta()
    bad_lines: Notes = field(default_factory=Notes)
    rounded_lines: Notes = field(default_factory=Notes)
    seconds: float = 0.0


def simulation(plan: Plan, *, now: datetime) -> Source:
    """Give a simulated market as a source."""
    return Source(name="simulation", payloads=lambda: simulate(plan), counts=Counts(now=now))


def dump_files(
    paths: Sequence[Path],
    *,
    symbol: str | None,
    dataset: str | None,
    skip_bad_lines: bool,
    anchor: datetime | None,
    now: datetime,
    tell: Callable[[Path], None],
) -> list[Source]:
    """Give dump files as sources; with ``anchor`` their data moves to the days before it.

    Moving needs the times of all files beforehand, so that each is read once more; ``tell`` hears of every file then.
    Raises ConfigError where a file does not say what it holds, or raw and aggregated trades would share a topic.
    """
    dumps = [identify(path, symbol=symbol, dataset=dataset) for path in paths]
    trades = {dump.kind.name: dump.path.name for dump in dumps if dump.kind.dataset == "trades"}
    if len(trades) > 1:
        raise ConfigError(
            f"{' and '.join(trades.values())} hold raw and aggregated trades; a topic takes one kind, "
            "or every trade would count twice"
        )
    sources = [_source(dump, skip_bad_lines=skip_bad_lines, now=now) for dump in dumps]
    if anchor is None:
        return sources
    spans: list[Span | None] = []
    for dump in dumps:
        tell(dump.path)
        spans.append(span_of(read(dump, on_bad_line=Notes().add if skip_bad_lines else stop)))
    by = iter(shifts([span for span in spans if span is not None], anchor=anchor))
    for source, span in zip(sources, spans, strict=True):
        if span is not None:
            source.total = span.rows
            _move(source, next(by))
    return sources


def _source(dump: Dump, *, skip_bad_lines: bool, now: datetime) -> Source:
    bad, rounded = Notes(), Notes()
    return Source(
        name=str(dump.path),
        payloads=lambda: read(dump, on_bad_line=bad.add if skip_bad_lines else stop, on_rounded=rounded.add),
        counts=Counts(now=now),
        bad_lines=bad,
        rounded_lines=rounded,
    )


def _move(source: Source, by: timedelta) -> None:
    unmoved = source.payloads
    source.shift = by
    source.payloads = lambda: (shifted(payload, by) for payload in unmoved())
