"""Says of one kept message what its bytes hold, which of them are at fault, and whether it would pass today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sink.avro.decode import Decoder
from sink.avro.dissect import Damage, Dissection, Part, dissect
from sink.avro.framing import header_of, label_of
from sink.avro.nodes import tree_of
from sink.avro.resolve import resolve
from sink.avro.schemas import Column
from sink.avro.writers import SchemaResolver
from sink.batch import Clock
from sink.datasets import Dataset
from sink.db.models import table_of
from sink.db.quarantined import Kept
from sink.db.upsert import flushed_columns
from sink.errors import BadMessage, DefinitionError, TransientError
from sink.prepared import prepare
from sink.quarantine.retry import batch_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the sink's own checks say now; both None where the message passes them."""

    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What the bytes of a message tell.

    ``parts`` are the values that could be read, ``damage`` the bytes at fault. ``unread`` says why the body could not
    be looked into at all. ``verdict`` is None where it was not asked: the registry is away, or decoding it may end the
    process.
    """

    parts: Sequence[Part] = ()
    damage: Damage | None = None
    unread: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Examiner:
    """Looks at the kept messages of one dataset."""

    dataset: Dataset
    columns: Sequence[Column]
    resolver: SchemaResolver
    decoder: Decoder
    clock: Clock
    topic: str

    def examine(self, kept: Kept, *, now: datetime, latest: datetime) -> Examined:
        """Look at one; times later than ``latest`` are not plausible."""
        if kept.value is None:
            return Examined(unread="the message has no value", verdict=self._verdict(kept, now, latest))
        try:
            header = header_of(kept.value)
        except BadMessage as error:
            end = min(2, len(kept.value)) if error.reason == "magic" else len(kept.value)
            return Examined(
                damage=Damage(start=0, end=end, error=str(error)),
                unread=str(error),
                verdict=self._verdict(kept, now, latest),
            )
        try:
            found = self._dissected(kept, kept.value, header)
        except BadMessage as error:
            damage = Damage(start=0, end=len(header), error=str(error)) if error.reason == "unknown_schema" else None
            return Examined(damage=damage, unread=str(error), verdict=self._verdict(kept, now, latest))
        except (TransientError, DefinitionError) as error:
            return Examined(unread=f"the writer's schema {label_of(header)} cannot be looked up now: {error}")
        return Examined(parts=found.parts, damage=found.damage, verdict=self._verdict(kept, now, latest))

    def _dissected(self, kept: Kept, value: bytes, header: bytes) -> Dissection:
        node = tree_of(self.resolver.schema_of(header))
        found = dissect(value, node, len(header))
        try:
            resolution = resolve(node, self.dataset.record, self.columns)
        except BadMessage:
            return found  # another record than the topic's: its own fields are still worth a look
        if found.damage is None:
            # our own sentences begin with the column that they blame
            blamed = kept.entry.error.split(" ", 1)[0]
            for column, source in resolution.sources:
                span = found.span_of(source.name) if source is not None and column.name == blamed else None
                if span is not None:
                    found.damage = Damage(start=span[0], end=span[1], error=kept.entry.error)
        return found

    def _verdict(self, kept: Kept, now: datetime, latest: datetime) -> Verdict | None:
        if kept.entry.reason == "crash":
            return None
        try:
            batch = batch_of([kept], self.topic, self.decoder, self.clock)
        except (TransientError, DefinitionError):
            return None
        starts = {kept.entry.partition: kept.entry.offset}
        columns = flushed_columns(table_of(self.dataset.model))
        rejected = prepare(batch, self.dataset, columns, starts, now=now, latest=latest).rejected
        return Verdict(reason=rejected[0].reason, error=rejected[0].error) if rejected else Verdict()
