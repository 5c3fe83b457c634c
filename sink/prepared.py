"""What a flush will write, worked out beforehand: check, deduplicate, sort, encode. Pure.

The thread that reads does this while the database still writes the batch before. The flush takes it as it is where its
locking read finds the positions that were expected, and has it worked out anew otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sink import rows
from sink.batch import Batch, Rejected
from sink.datasets import Dataset
from sink.db.copy import encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The rows and refusals of a batch from ``starts`` on, by partition; ``encoded`` are the winners for COPY."""

    starts: Mapping[int, int]
    newest: rows.Newest | None
    encoded: bytes
    rejected: list[Rejected]
    messages: Mapping[int, int]
    ignored: Mapping[int, int]
    late: Mapping[int, int]
    times: Mapping[int, tuple[datetime, datetime]]


def prepare(
    batch: Batch, dataset: Dataset, columns: list[str], starts: Mapping[int, int], *, now: datetime, latest: datetime
) -> Prepared:
    """Work out what is to be written of the partitions in ``starts``; ``columns`` are those that COPY fills.

    ``latest`` is the last time that is plausible; rows older than the dataset's retention before ``now`` are late.
    """
    rejected = [row for row in batch.undecodable() if row.offset >= starts.get(row.partition, row.offset + 1)]
    messages, ignored = batch.messages_from(starts), batch.ignored_from(starts)
    frame = batch.frame()
    if frame is None:
        return Prepared(
            starts=starts,
            newest=None,
            encoded=b"",
            rejected=rejected,
            messages=messages,
            ignored=ignored,
            late={},
            times={},
        )
    if any(starts.get(number) != span.base for number, span in batch.spans.items()):
        frame = rows.not_yet_durable(frame, starts)
    checked = rows.check(frame, dataset, latest=latest)
    newest = rows.newest(checked.good, dataset)
    late: Mapping[int, int] = Counter()
    if dataset.retain is not None:
        late = rows.count_late(checked.good, dataset, before=now - dataset.retain)
    return Prepared(
        starts=starts,
        newest=newest,
        encoded=encoded(newest.winners.select(columns)),
        rejected=[*rejected, *(batch.reject(chunk, bad) for chunk, bad in checked.bad)],
        messages=messages,
        ignored=ignored,
        late=late,
        times=rows.event_times(checked.good, dataset),
    )
