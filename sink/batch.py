"""Messages, what decoding makes of them as columns, and the Batch of one flush. Pure: no clock, network or database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Literal

import polars as pl

MESSAGE = "message"
"""Column of a decoded frame: index of the row's message within its :class:`Messages`."""
CHUNK = "chunk"
"""Column of a batch's frame: index of the chunk that holds the row's message."""

Clock = Literal["record", "field"]
"""Which time orders the versions of a row: Kafka's record time, or the producer's own ``observed_at``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Raw messages of one topic as parallel lists, in the order in which Kafka gave them.

    ``timestamps`` are Kafka's record times in UTC microseconds, -1 where a message has none.
    """

    topic: str
    partitions: Sequence[int]
    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[Sequence[tuple[str, bytes | None]] | None]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size(self) -> int:
        """Bytes of keys, values and headers."""
        headers = sum(len(name) + len(value or b"") for held in self.headers if held for name, value in held)
        return sum(map(len, filter(None, self.values))) + sum(map(len, filter(None, self.keys))) + headers

    def recorded_from(self, partition: int, offset: int) -> int | None:
        """Give the record time of a partition's first message at or behind an offset; None where there is none."""
        place = -1
        try:
            while True:  # the first message of a partition is nearly always the one
                place = self.partitions.index(partition, place + 1)
                if self.offsets[place] >= offset:
                    return self.timestamps[place]
        except ValueError:
            return None

    def take(self, indices: Sequence[int]) -> Messages:
        """Give the messages at these indices, in this order."""
        return Messages(
            topic=self.topic,
            partitions=[self.partitions[i] for i in indices],
            offsets=[self.offsets[i] for i in indices],
            timestamps=[self.timestamps[i] for i in indices],
            keys=[self.keys[i] for i in indices],
            values=[self.values[i] for i in indices],
            headers=[self.headers[i] for i in indices],
        )


def recorded_at(timestamp: int) -> datetime | None:
    """Give one of ``Messages.timestamps`` as a time; None where the message has none."""
    return datetime.fromtimestamp(timestamp / 1e6, UTC) if timestamp >= 0 else None


def joined(first: Messages, second: Messages) -> Messages:
    """Give both one after the other."""
    return Messages(
        topic=first.topic,
        partitions=[*first.partitions, *second.partitions],
        offsets=[*first.offsets, *second.offsets],
        timestamps=[*first.timestamps, *second.timestamps],
        keys=[*first.keys, *second.keys],
        values=[*first.values, *second.values],
        headers=[*first.headers, *second.headers],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A message that cannot become a row: its index within the messages, and why."""

    index: int
    reason: str
    error: str
    sqlstate: str | None = None
    schema_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The good messages as columns, the bad ones with their reasons.

    ``frame`` holds the column ``message`` (UInt32), then the dataset's contract columns in the model's order (String,
    Datetime in microseconds UTC, Decimal(38, 18) for every numeric, Int64, Boolean), then ``observed_at`` (nullable).
    """

    frame: pl.DataFrame
    bad: list[BadRow] = field(default_factory=list)
    ignored: Sequence[int] = ()
    """Indices of good messages that were left out on purpose, as a replay of some symbols does with the others."""
    schema_ids: frozenset[str] = frozenset()
    unknown_fields: int = 0


@dataclass(slots=True, kw_only=True)
class Span:
    """The offsets of one partition that a batch accounts for: [base, end)."""

    base: int
    end: int
    leader_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A message on its way to quarantine, whole, with its reason."""

    partition: int
    offset: int
    reason: str
    error: str
    sqlstate: str | None
    schema_id: str | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] | None
    timestamp: int
    """Kafka's record time in UTC microseconds, -1 for none."""


@dataclass(slots=True)
class _Chunk:
    messages: Messages
    decoded: Decoded


class Batch:
    """What one flush makes durable: decoded rows, bad messages, and the offsets that they account for.

    The raw messages stay until the transaction has committed, because a row that the database rejects goes to
    quarantine whole, and the older version that it had displaced takes its place.
    """

    def __init__(self, topic: str, *, clock: Clock) -> None:
        self.topic = topic
        self.spans: dict[int, Span] = {}
        self.size = 0
        self.count = 0
        self._clock = clock
        self._chunks: list[_Chunk] = []

    def __repr__(self) -> str:
        return f"<Batch {self.topic} {self.count} messages {self.spans}>"

    def __bool__(self) -> bool:
        return bool(self.spans)

    def add(self, messages: Messages, decoded: Decoded, bases: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Add decoded messages; ``bases`` says for every partition of theirs the next offset expected before them."""
        for partition, end in _ends(messages).items():
            self.advance(partition, bases[partition], end, epochs.get(partition))
        self._chunks.append(_Chunk(messages, decoded))
        self.size += messages.size
        self.count += len(messages)

    def advance(self, partition: int, base: int, end: int, leader_epoch: int | None = None) -> None:
        """Account for offsets up to ``end``, whether or not messages stand there (control records, compaction)."""
        span = self.spans.get(partition)
        if end < base or (span is not None and span.end != base):
            raise ValueError(f"partition {partition}: [{base}, {end}) does not continue {span}")
        if span is None:
            self.spans[partition] = Span(base=base, end=end, leader_epoch=leader_epoch)
            return
        span.end = end
        span.leader_epoch = leader_epoch if leader_epoch is not None else span.leader_epoch

    def drop(self, partitions: Sequence[int]) -> None:
        """Forget everything of these partitions: somebody else reads it again."""
        for partition in partitions:
            self.spans.pop(partition, None)
        self.narrow(lambda partition, _offset: partition in self.spans)

    def only(self, partitions: Sequence[int]) -> Batch:
        """Give a batch of these partitions alone."""
        part = self._copy()
        part.drop([partition for partition in self.spans if partition not in partitions])
        return part

    def halves(self) -> tuple[Batch, Batch] | None:
        """Cut the batch in two, by partitions or else by offsets; None where it is a single message."""
        partitions = sorted(self.spans)
        if len(partitions) > 1:
            middle = len(partitions) // 2
            return self.only(partitions[:middle]), self.only(partitions[middle:])
        offsets = sorted(offset for chunk in self._chunks for offset in chunk.messages.offsets)
        if len(offsets) < 2:  # noqa: PLR2004 (two halves need two messages)
            return None
        cut = offsets[len(offsets) // 2]
        first, second = self._copy(), self._copy()
        for partition in partitions:
            first.spans[partition].end = second.spans[partition].base = cut
        first.narrow(lambda _partition, offset: offset < cut)
        second.narrow(lambda _partition, offset: offset >= cut)
        return first, second

    def recorded_from(self, partition: int, offset: int) -> int | None:
        """Give the record time of a partition's first message at or behind an offset; None where there is none."""
        if partition not in self.spans:
            return None
        times = (chunk.messages.recorded_from(partition, offset) for chunk in self._chunks)
        return next((time for time in times if time is not None), None)

    def frame(self) -> pl.DataFrame | None:
        """Give all good rows as one frame with lineage columns, or None where there are none.

        Columns: the contract's, ``observed_at``, ``source_partition``, ``source_offset``, ``chunk``, ``message``.
        Under the clock ``field`` a row may lack ``observed_at``; validation finds it.
        """
        frames = [
            _with_lineage(chunk, index, self._clock)
            for index, chunk in enumerate(self._chunks)
            if chunk.decoded.frame.height
        ]
        return pl.concat(frames) if frames else None

    def undecodable(self) -> Iterator[Rejected]:
        """Give the messages that the decoder refused."""
        for chunk in self._chunks:
            for bad in chunk.decoded.bad:
                yield _rejected(chunk.messages, bad)

    def reject(self, chunk: int, bad: BadRow) -> Rejected:
        """Make the quarantine entry of a row of :meth:`frame`, found by its ``chunk`` and ``message``."""
        return _rejected(self._chunks[chunk].messages, bad)

    def messages_from(self, starts: Mapping[int, int]) -> dict[int, int]:
        """Count each partition's messages from its start on."""
        counts = dict.fromkeys(starts, 0)
        if all(starts.get(partition) == span.base for partition, span in self.spans.items()):
            # the usual case, counted without a step of Python's for each message
            whole = Counter(chain.from_iterable(chunk.messages.partitions for chunk in self._chunks))
            return {**counts, **whole}
        for chunk in self._chunks:
            for partition, offset in zip(chunk.messages.partitions, chunk.messages.offsets, strict=True):
                if partition in counts and offset >= starts[partition]:
                    counts[partition] += 1
        return counts

    def ignored_from(self, starts: Mapping[int, int]) -> Counter[int]:
        """Count each partition's messages that were left out on purpose, from its start on."""
        return Counter(
            partition for partition, offset in self._ignored() if offset >= starts.get(partition, offset + 1)
        )

    def wanted(self) -> set[tuple[int, int]]:
        """Give partition and offset of every message that was not left out on purpose."""
        places = {
            place
            for chunk in self._chunks
            for place in zip(chunk.messages.partitions, chunk.messages.offsets, strict=True)
        }
        return places.difference(self._ignored())

    def _ignored(self) -> Iterator[tuple[int, int]]:
        for chunk in self._chunks:
            for index in chunk.decoded.ignored:
                yield chunk.messages.partitions[index], chunk.messages.offsets[index]

    @property
    def schema_ids(self) -> frozenset[str]:
        """Writer schemas seen."""
        return frozenset().union(*(chunk.decoded.schema_ids for chunk in self._chunks))

    def _copy(self) -> Batch:
        copy = Batch(self.topic, clock=self._clock)
        copy.spans = {p: Span(base=s.base, end=s.end, leader_epoch=s.leader_epoch) for p, s in self.spans.items()}
        copy._chunks = list(self._chunks)
        copy.size, copy.count = self.size, self.count
        return copy

    def narrow(self, keep: Callable[[int, int], bool]) -> None:
        """Keep only the messages of which ``keep(partition, offset)`` is true."""
        narrowed = [_narrow(chunk, keep) for chunk in self._chunks]
        self._chunks = [chunk for chunk in narrowed if len(chunk.messages)]
        self.size = sum(chunk.messages.size for chunk in self._chunks)
        self.count = sum(len(chunk.messages) for chunk in self._chunks)


def _ends(messages: Messages) -> dict[int, int]:
    # Kafka gives the messages of a partition in the order of their offsets, so the last one seen counts
    last = dict(zip(messages.partitions, messages.offsets, strict=True))
    return {partition: offset + 1 for partition, offset in last.items()}


def _narrow(chunk: _Chunk, keep: Callable[[int, int], bool]) -> _Chunk:
    places = zip(chunk.messages.partitions, chunk.messages.offsets, strict=True)
    kept = [index for index, (partition, offset) in enumerate(places) if keep(partition, offset)]
    if len(kept) == len(chunk.messages):
        return chunk
    moved = {old: new for new, old in enumerate(kept)}
    index = pl.DataFrame(
        {MESSAGE: list(moved.keys()), "moved": list(moved.values())}, schema={MESSAGE: pl.UInt32, "moved": pl.UInt32}
    )
    frame = chunk.decoded.frame.join(index, on=MESSAGE, how="inner", maintain_order="left")
    decoded = Decoded(
        frame=frame.with_columns(pl.col("moved").alias(MESSAGE)).drop("moved"),
        bad=[replace(bad, index=moved[bad.index]) for bad in chunk.decoded.bad if bad.index in moved],
        ignored=[moved[index] for index in chunk.decoded.ignored if index in moved],
        schema_ids=chunk.decoded.schema_ids,
        unknown_fields=chunk.decoded.unknown_fields,
    )
    return _Chunk(chunk.messages.take(kept), decoded)


def _with_lineage(chunk: _Chunk, index: int, clock: Clock) -> pl.DataFrame:
    lineage = pl.DataFrame(
        {
            "source_partition": pl.Series(chunk.messages.partitions, dtype=pl.Int32),
            "source_offset": pl.Series(chunk.messages.offsets, dtype=pl.Int64),
            "record_time": pl.Series(chunk.messages.timestamps, dtype=pl.Int64),
        }
    )
    message = chunk.decoded.frame[MESSAGE]
    if len(message) < lineage.height or not message.is_sorted():
        lineage = lineage[message]
    frame = chunk.decoded.frame.hstack(lineage)
    if clock == "record":
        record_time = pl.when(pl.col("record_time") >= 0).then(pl.col("record_time"))
        frame = frame.with_columns(record_time.cast(pl.Datetime("us", "UTC")).alias("observed_at"))
    return frame.drop("record_time").with_columns(pl.lit(index, dtype=pl.UInt32).alias(CHUNK))


def _rejected(messages: Messages, bad: BadRow) -> Rejected:
    index = bad.index
    return Rejected(
        partition=messages.partitions[index],
        offset=messages.offsets[index],
        reason=bad.reason,
        error=bad.error,
        sqlstate=bad.sqlstate,
        schema_id=bad.schema_id,
        key=messages.keys[index],
        value=messages.values[index],
        headers=messages.headers[index],
        timestamp=messages.timestamps[index],
    )
