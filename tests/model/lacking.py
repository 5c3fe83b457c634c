"""Parts of the sink that lack one rule each; they take the place of the real ones in mutants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import Table

from sink import rows
from sink.assignment import State
from sink.batch import Batch, Messages
from sink.collector import Collector
from sink.datasets import Dataset
from sink.errors import TransientError
from sink.flush import Flushed, Flusher
from sink.kafka.log import Identity, Polled
from sink.ledger import Claim, Locked, Start
from sink.pipeline import Pipeline
from sink.prepared import Prepared
from sink.write import RowWriter, Written
from tests.model.line import FatefulCursor
from tests.model.log import Consumer


class Unfenced(Flusher):
    """Believes that every partition is its own."""

    def positions(self) -> dict[int, Locked]:
        self._tokens = getattr(self, "_tokens", {})
        stored = super().positions()
        return {number: replace(row, token=self._tokens.get(number, row.token)) for number, row in stored.items()}

    def claim(self, start: Start, token: UUID) -> Claim:
        self._tokens = {**getattr(self, "_tokens", {}), start.partition: token}
        return super().claim(start, token)

    def flush(
        self, batch: Batch, claims: Mapping[int, Claim], prepared: Prepared | None = None, **options: Any
    ) -> Flushed:
        stored = super().positions()
        held = {number: claim for number, claim in claims.items() if number in stored}
        return super().flush(
            batch,
            {**claims, **{number: replace(claim, token=stored[number].token) for number, claim in held.items()}},
            prepared,
            **options,
        )


class Anywhere(Unfenced):
    """Writes whatever it has and puts the position behind it, wherever that stood."""

    def _judge(
        self, batch: Batch, claims: Mapping[int, Claim], locked: Mapping[int, Locked], done: Flushed
    ) -> dict[int, int]:
        del claims, done
        return {number: span.base for number, span in batch.spans.items() if number in locked}


class Deaf(Pipeline):
    """Does not compare what it holds with the positions in the database, as long as there are any."""

    def _compare_positions(self, stored: Mapping[int, Locked]) -> None:
        self.positions = {number: row.next_offset for number, row in stored.items()}
        self._claim_again([n for n in self.assignment.in_state(State.READING) if n not in stored], 0.0)


class PlainUpsert(RowWriter):
    """Replaces rows by whatever comes."""

    def write(self, cursor: psycopg.Cursor, newest: rows.Newest, data: bytes) -> Written:
        always = re.sub(r" WHERE \(EXCLUDED.*?\) > \(stored.*?\)", "", self._upsert.as_string(cursor))
        self._upsert = sql.Composed([sql.SQL(always)])
        return super().write(cursor, newest, data)


class KeyIsEnough(RowWriter):
    """Looks first which keys are there already, and takes an older version of a row for the same one."""

    def __init__(self, dataset: Dataset, target: Table | None = None) -> None:
        super().__init__(dataset, target)
        real = self._drop_known
        self._drop_known = lambda first, last: _without_tuples(real(first, last))

    def write(self, cursor: psycopg.Cursor, newest: rows.Newest, data: bytes) -> Written:
        self._mostly_known = True
        return super().write(cursor, newest, data)


def _without_tuples(statement: sql.Composed) -> sql.Composed:
    return sql.Composed([sql.SQL(re.sub(r" AND \(stored.*?\) >= \(incoming.*?\)", "", statement.as_string()))])


class NoRunnerUp(RowWriter):
    """Forgets the versions that a refused winner had displaced."""

    def write(self, cursor: psycopg.Cursor, newest: rows.Newest, data: bytes) -> Written:
        return super().write(cursor, replace(newest, displaced=newest.displaced.clear()), data)


def writing(writer: type[RowWriter]) -> type[Flusher]:
    """Give a flusher that writes rows with this writer."""

    class Writing(Flusher):
        def __init__(self, **wiring: Any) -> None:
            super().__init__(**wiring)
            self._writer = writer(wiring["dataset"])

    return Writing


class KafkaDecides(Flusher):
    """Starts where the group has committed."""

    def claim(self, start: Start, token: UUID) -> Claim:
        claim = super().claim(start, token)
        if start.committed is None:
            return claim
        with self._transaction() as cursor:
            _move(cursor, self, claim.partition, start.committed)
        return replace(claim, start=start.committed)


class StartNotStored(Flusher):
    """Takes any lower commit for a wish to rewind, and keeps it to itself."""

    def claim(self, start: Start, token: UUID) -> Claim:
        claim = super().claim(replace(start, committed=None), token)
        if start.committed is not None and start.committed < claim.start:
            return replace(claim, start=start.committed)
        return claim


class LaterFromItsEnd(Consumer):
    """Starts a partition that was added later at its end."""

    def identity(self) -> Identity:
        self._looking = True
        return super().identity()

    def poll(self, limit: int, wait: float) -> Polled:
        self._looking = False
        return super().poll(limit, wait)

    def log_range(self, partition: int) -> tuple[int, int]:
        first, end = super().log_range(partition)
        return (end if self._looking and partition >= self.topic.original else first), end


class NeverAgain(Pipeline):
    """Takes a fence for the last word."""

    def _fenced(self, number: int, claim: Claim, owner: str) -> None:
        super()._fenced(number, claim, owner)
        partition = self.assignment.get(number)
        if partition is not None and partition.state is State.WAITING:
            partition.not_before = float("inf")


class PositionApart(Flusher):
    """Moves the position in a transaction of its own, which may succeed where that of the rows has failed."""

    def flush(
        self, batch: Batch, claims: Mapping[int, Claim], prepared: Prepared | None = None, **options: Any
    ) -> Flushed:
        try:
            return super().flush(batch, claims, prepared, **options)
        except BaseException:
            stored = self.positions()
            for number, span in batch.spans.items():
                row = stored.get(number)
                if row is not None and row.token == claims[number].token and span.base <= row.next_offset:
                    with self._transaction() as cursor:
                        _move(cursor, self, number, span.end)
            raise


class Credulous(FatefulCursor):
    """Takes every answer to COMMIT for a COMMIT."""

    @property
    def statusmessage(self) -> str | None:
        return "COMMIT"


class SilenceIsConsent(Flusher):
    """Takes a COMMIT without an answer for done."""

    def flush(
        self, batch: Batch, claims: Mapping[int, Claim], prepared: Prepared | None = None, **options: Any
    ) -> Flushed:
        try:
            return super().flush(batch, claims, prepared, **options)
        except TransientError as error:
            if isinstance(error.__cause__, psycopg.OperationalError) and error.__cause__.sqlstate is None:
                return Flushed(durable={number: span.end for number, span in batch.spans.items()})
            raise


class NoBisection(RowWriter):
    """Refuses all rows for one that the database refuses."""

    def _bisect(self, cursor: psycopg.Cursor, newest: rows.Newest, data: bytes, written: Written) -> None:
        cursor.execute(self._begin_rows)
        try:
            counts = self._upserted(cursor, newest.winners, data)
        except psycopg.errors.CheckViolation as error:
            cursor.execute("ROLLBACK TO SAVEPOINT rows")
            for row in range(newest.winners.height):
                alone = rows.Newest(winners=newest.winners[row : row + 1], displaced=newest.displaced.clear())
                self._refuse(cursor, alone, written, error)
            return
        written.accepted.update(rows.count_by_partition(newest.winners))
        written.changed.update(counts)


class AllIn(Collector):
    """Collects what is delivered, also what lies before the position."""

    def _wanted(self, messages: Messages) -> Messages:
        read = self._assignment.in_state(State.READING)
        return messages.take([index for index, number in enumerate(messages.partitions) if number in read])


class OwnWord(Pipeline):
    """Commits to Kafka what has been read, before it is durable."""

    def step(self) -> None:
        super().step()
        read = {n: self.assignment[n].next_offset for n in self.assignment.in_state(State.READING)}
        self._kafka.commit_offsets(read, {})


def _move(cursor: psycopg.Cursor, flusher: Flusher, partition: int, offset: int) -> None:
    cursor.execute(
        "UPDATE sink.positions SET next_offset = %s WHERE sink_id = %s AND partition = %s",
        (offset, flusher._source.sink_id, partition),
    )
