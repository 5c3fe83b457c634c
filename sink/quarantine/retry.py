"""Runs kept messages through the normal path again: decoded, checked, written newest-wins, and marked, all at once."""

from __future__ import annotations

import base64
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sink import ledger, repairs
from sink.avro.decode import Decoder
from sink.batch import Batch, Clock, Messages
from sink.db.quarantined import Entry, Kept, State
from sink.errors import OversizeError
from sink.flush import Flusher, rejected_of
from sink.ledger import Start
from sink.replaying.flushers import Rehearsal
from sink.write import Written

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Retried:
    """What became of messages: ``written`` rows, those whose row is newer already, those with a newer twin among them.

    ``gone`` were replayed or dropped by somebody else meanwhile, ``refused`` counts by their new reason those that
    stay.
    """

    messages: int = 0
    written: int = 0
    not_newer: int = 0
    deduplicated: int = 0
    late: int = 0
    gone: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Retried) -> None:
        """Count what another page did as well."""
        for name in ("messages", "written", "not_newer", "deduplicated", "late", "gone"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused.update(other.refused)


class Retrier(Flusher):
    """Writes kept messages; no position moves, and the lineage of a row is that of its message.

    Newest-wins by the original lineage makes it idempotent: a row that came later stays, and a second retry of the
    same message changes nothing.
    """

    def retry(self, batch: Batch, states: Collection[State]) -> Retried:
        """Write what can be written of a batch, mark it, and note the new reason of the others, in one transaction.

        Messages that are in none of these ``states`` any more are left alone. Raises what a flush raises.
        """
        try:
            return self._once(batch, states)
        except OversizeError:
            halves = batch.halves()
            if halves is None:
                raise
            done = Retried()
            for half in halves:
                done.add(self.retry(half, states))
            return done

    def _once(self, batch: Batch, states: Collection[State]) -> Retried:
        with self._transaction() as cursor:
            asked = batch.wanted()
            mine = repairs.lock_quarantined(cursor, self._source, asked, states)
            batch.narrow(lambda partition, offset: (partition, offset) in mine)
            (now,) = cursor.execute("SELECT clock_timestamp()").fetchone() or (datetime.now(UTC),)
            prepared = self._prepare(batch, {number: span.base for number, span in batch.spans.items()}, now)
            written = Written()
            if prepared.newest is not None:
                written = self._writer.write(cursor, prepared.newest, prepared.encoded)
            rejected = rejected_of(batch, prepared, written)
            ledger.quarantine(cursor, self._source.keeper, self._source.topic, rejected)
            repairs.mark_passed(cursor, self._source, mine - {(row.partition, row.offset) for row in rejected})
        accepted, changed = written.accepted.total(), written.changed.total()
        return Retried(
            messages=len(asked),
            written=changed,
            not_newer=accepted - changed,
            deduplicated=len(mine) - accepted - len(rejected),
            late=sum(prepared.late.values()),
            gone=len(asked) - len(mine),
            refused=Counter(row.reason for row in rejected),
        )


def rehearse(rehearsal: Rehearsal, batch: Batch) -> None:
    """Have a rehearsal work out what a retry of the batch would do; its ``foreseen`` grows by that."""
    claims = {
        number: rehearsal.claim(Start(partition=number, log_start=span.base, initial={}), uuid.uuid4())
        for number, span in batch.spans.items()
    }
    rehearsal.flush(batch, claims)


def batch_of(kept: Sequence[Kept], topic: str, decoder: Decoder, clock: Clock) -> Batch:
    """Decode kept messages, which come by partition and offset, into a batch.

    Raises TransientError and DefinitionError where the registry cannot be asked.
    """
    messages = messages_of(kept, topic)
    bases = {entry.partition: entry.offset for entry in (one.entry for one in reversed(kept))}
    batch = Batch(topic, clock=clock)
    batch.add(messages, decoder.decode(messages), bases, {})
    return batch


def messages_of(kept: Sequence[Kept], topic: str) -> Messages:
    """Give kept messages as Kafka gave them."""
    return Messages(
        topic=topic,
        partitions=[one.entry.partition for one in kept],
        offsets=[one.entry.offset for one in kept],
        timestamps=[micros_of(one.entry.kafka_at) for one in kept],
        keys=[one.key for one in kept],
        values=[one.value for one in kept],
        headers=[headers_of(one) or None for one in kept],
    )


def headers_of(kept: Kept) -> list[tuple[str, bytes | None]]:
    """Give a message's headers as bytes."""
    return [(name, None if value is None else base64.b64decode(value)) for name, value in kept.headers]


def by_size(entries: Sequence[Entry], most: int) -> Iterator[list[Entry]]:
    """Cut a page into groups of at most so many bytes, or of a single message that is larger."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        if group and size + entry.size > most:
            yield group
            group, size = [], 0
        group.append(entry)
        size += entry.size
    if group:
        yield group


def micros_of(moment: datetime | None) -> int:
    """Give a record time as Kafka counts it, in UTC microseconds; -1 for none."""
    return -1 if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
