"""Judges whether a ledger accounts for every offset of a partition. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from sink.db.accounts import Account
from sink.db.replays import COUNTS
from sink.inspection.intervals import Growing, Interval, clipped, joined, length, without

_LEFT_OUT = ("skip", "gap")
_PARTS = ("rows_written", "rows_not_newer", "rows_deduplicated", "ignored", "quarantined")


class Kind(Enum):
    """What is wrong with a stretch of offsets."""

    HOLE = "hole"
    """The position has passed it, and no entry of the ledger speaks of it."""
    OVERLAP = "overlap"
    """Accounted for twice, with no rewind between."""
    SUM = "sum"
    """The messages of an entry are not the sum of what became of them."""
    QUARANTINE = "quarantine"
    """An entry counts more quarantined messages than are kept."""
    POSITION = "position"
    """The position is not where the ledger ends."""
    LOST = "lost"
    """Kafka dropped it before the sink has read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, in one sentence."""

    kind: Kind
    partition: int
    start: int
    end: int
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a partition stands: the sink's position, and what Kafka's log has."""

    partition: int
    position: int | None
    """None where the sink has never claimed it."""
    log: Interval


@dataclass(slots=True, kw_only=True)
class Judged:
    """What the ledger proves of a partition within the offsets that were asked for."""

    standing: Standing
    asked: Interval
    proven: Interval
    """From where to where the ledger could be judged; before it, it was pruned or the sink did not begin."""
    counts: Counter[str] = field(default_factory=Counter)
    """Sums over the entries that touch ``proven``: COUNTS, ``entries`` and ``rewinds``."""
    left_out: list[Interval] = field(default_factory=list)
    """Passed on purpose or because Kafka had dropped it, and not read at another time."""
    holes: list[Interval] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def unread(self) -> int:
        """Count the offsets asked for that the position has yet to pass: the lag."""
        position = self.standing.log[0] if self.standing.position is None else self.standing.position
        end = min(self.asked[1], self.standing.log[1])
        return max(0, end - max(position, self.asked[0]))


def judge(standing: Standing, entries: Iterable[Account], repeated: Iterable[Account], asked: Interval) -> Judged:
    """Judge a partition: ``entries`` are the sink's own in their order, ``repeated`` those of its replays.

    Only what touches ``asked`` is told. A stretch that was passed over but read later, by a rewind or by a replay that
    left nothing out, is accounted for.
    """
    chain = _Chain(standing.partition, asked)
    for entry in entries:
        chain.follow(entry)
    for entry in repeated:
        chain.repeat(entry)
    return chain.judged(standing)


class _Chain:
    """Follows the entries of one partition from the oldest to the newest."""

    def __init__(self, partition: int, asked: Interval) -> None:
        self._partition = partition
        self._asked = asked
        self._read, self._replayed = Growing(), Growing()
        self._left_out: list[Interval] = []
        self._notes: list[str] = []
        self._faults: list[Fault] = []
        self._counts: Counter[str] = Counter()
        self._first: int | None = None
        self._next: int | None = None

    def follow(self, entry: Account) -> None:
        """Take the next entry of the sink itself."""
        if self._next is None:
            self._first = min(entry.from_offset, entry.to_offset)
        elif entry.from_offset < self._next:
            self._fault(
                Kind.OVERLAP,
                (entry.from_offset, self._next),
                f"entry {entry.id} begins at {entry.from_offset}, though the one before it ended at {self._next}, and"
                " no rewind stands between",
            )
        self._next = entry.to_offset
        if entry.kind == "rewind":
            self._first = entry.to_offset if self._first is None else min(self._first, entry.to_offset)
            self._counts["rewinds"] += self._touches((entry.to_offset, entry.from_offset))
            return
        if entry.from_offset > entry.to_offset:
            self._fault(
                Kind.OVERLAP,
                (entry.to_offset, entry.from_offset),
                f"entry {entry.id} goes back from {entry.from_offset} to {entry.to_offset} and is no rewind",
            )
            return
        if entry.kind in _LEFT_OUT:
            self._leave_out(entry)
            return
        self._read.add(entry.from_offset, entry.to_offset)
        self._add_up(entry)

    def repeat(self, entry: Account) -> None:
        """Take an entry of a replay."""
        self._sums(entry, f"entry {entry.id} of replay {entry.replay_id}")
        if entry.counts["ignored"] == 0:
            self._replayed.add(entry.from_offset, entry.to_offset)

    def judged(self, standing: Standing) -> Judged:
        """Give what came of it."""
        position = standing.position
        first = self._first if self._first is not None else position
        if position is None or first is None:
            note = "the sink has never read it" if position is None else "the ledger is empty"
            return Judged(
                standing=standing, asked=self._asked, proven=(self._asked[0], self._asked[0]), notes=[self._say(note)]
            )
        self._compare(standing, position)
        known = (max(first, self._asked[0]), max(min(position, self._asked[1]), first, self._asked[0]))
        read = joined([*self._read.intervals, *self._replayed.intervals])
        left_out = clipped(without(self._left_out, read), known)
        holes = without([known], [*read, *self._left_out])
        for hole in holes:
            self._fault(Kind.HOLE, hole, f"the position passed {length([hole])} offsets that no entry accounts for")
        if self._asked[0] < first and first > 0:
            gone = min(first, self._asked[1])
            self._notes.append(
                self._say(
                    f"the ledger proves it from offset {first} on; [{self._asked[0]}, {gone}) is older than it, or was"
                    " there before the sink began"
                )
            )
        return Judged(
            standing=standing,
            asked=self._asked,
            proven=known,
            counts=self._counts,
            left_out=left_out,
            holes=holes,
            faults=sorted(self._faults, key=lambda fault: (fault.start, fault.end, fault.kind.value)),
            notes=self._notes,
        )

    def _compare(self, standing: Standing, position: int) -> None:
        """Compare the position with the ledger's end and with Kafka's log."""
        low, high = standing.log
        if self._next is not None and self._next != position:
            ends = (min(self._next, position), max(self._next, position))
            self._fault(
                Kind.POSITION, ends, f"the ledger ends at {self._next}, but the position is {position}: moved by hand?"
            )
        if position > high:
            self._fault(
                Kind.POSITION,
                (high, position),
                f"the position {position} lies beyond the log's end {high}: messages were lost in Kafka, or the topic"
                " was made anew",
            )
        if position < low:
            self._fault(
                Kind.LOST, (position, low), f"the log begins at {low}, but the sink has only read up to {position}"
            )

    def _leave_out(self, entry: Account) -> None:
        self._left_out.append((entry.from_offset, entry.to_offset))
        if self._touches((entry.from_offset, entry.to_offset)):
            why = f"skipped: {entry.reason}" if entry.kind == "skip" else "Kafka had dropped it before it was read"
            when = entry.at.strftime("%Y-%m-%d %H:%M:%S UTC")
            stretch = f"[{entry.from_offset}, {entry.to_offset})"
            self._notes.append(self._say(f"{stretch} was left out at {when} by {entry.owner} ({why})"))

    def _add_up(self, entry: Account) -> None:
        if self._touches((entry.from_offset, entry.to_offset)):
            self._counts["entries"] += 1
            self._counts.update({name: entry.counts[name] for name in COUNTS})
        self._sums(entry, f"entry {entry.id}")

    def _sums(self, entry: Account, name: str) -> None:
        counts, stretch = entry.counts, (entry.from_offset, entry.to_offset)
        parts = sum(counts[part] for part in _PARTS)
        if counts["messages"] != parts or counts["messages"] > stretch[1] - stretch[0] or min(counts.values()) < 0:
            told = ", ".join(f"{part.removeprefix('rows_')} {counts[part]}" for part in _PARTS)
            self._fault(Kind.SUM, stretch, f"{name} counts {counts['messages']} messages, but {told}")
        if counts["quarantined"] > entry.kept:
            self._fault(
                Kind.QUARANTINE,
                stretch,
                f"{name} counts {counts['quarantined']} quarantined messages, but sink.quarantine has {entry.kept}",
            )

    def _fault(self, kind: Kind, stretch: Interval, found: str) -> None:
        if self._touches(stretch):
            self._faults.append(
                Fault(kind=kind, partition=self._partition, start=stretch[0], end=stretch[1], found=found)
            )

    def _touches(self, stretch: Interval) -> bool:
        return stretch[0] < self._asked[1] and self._asked[0] < stretch[1]

    def _say(self, sentence: str) -> str:
        return f"partition {self._partition}: {sentence}"
