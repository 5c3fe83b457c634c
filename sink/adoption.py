"""Gives a sink positions from elsewhere (a consumer group, an exported file), on record like every other move."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg

from sink import ledger, repairs
from sink.errors import ConfigError, TransientError
from sink.flush import Flusher
from sink.kafka.log import Identity
from sink.kafka.stretch import Range
from sink.ledger import Claim, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One partition: where it stands, where it will; None is no position, which begins at the log's start."""

    partition: int
    before: int | None
    after: int | None
    log: Range

    @property
    def kind(self) -> Literal["new", "rewind", "skip", "none"]:
        """How it moves; ``none`` where nothing changes."""
        if self.after is None or self.after == self.before:
            return "none"
        if self.before is None:
            return "new"
        return "rewind" if self.after < self.before else "skip"


def plan(
    wanted: Mapping[int, int], logs: Mapping[int, Range], stored: Mapping[int, int], *, topic: str, origin: str
) -> list[Step]:
    """Compare what is wanted with the log and with what stands; ``origin`` names whose offsets they are.

    Raises ConfigError for partitions that the topic has not and offsets that its log has not.
    """
    unknown = sorted(set(wanted) - set(logs))
    if unknown:
        raise ConfigError(
            f"{origin} has offsets of partition {_listed(unknown)}, but {topic} has only {_listed(sorted(logs))}"
        )
    for number, offset in sorted(wanted.items()):
        low, high = logs[number]
        if offset > high:
            raise ConfigError(
                f"{topic}/{number}: {origin} stands at offset {offset}, beyond the log, which is [{low}, {high}): it"
                " was of another topic, or the log has lost its end"
            )
        if offset < low:
            raise ConfigError(
                f"{topic}/{number}: {origin} stands at offset {offset}, which Kafka no longer has: its log is [{low},"
                f" {high}), and the messages [{offset}, {low}) are gone. Leave that partition out with --partitions; it"
                " then begins at its log's start"
            )
    return [
        Step(partition=number, before=stored.get(number), after=wanted.get(number), log=log)
        for number, log in sorted(logs.items())
        if number in wanted or number not in stored
    ]


def refuse_moves(steps: Sequence[Step], *, sink_id: str) -> None:
    """Raise ConfigError where a position that stands would be moved."""
    moved = [step.partition for step in steps if step.kind in {"rewind", "skip"}]
    if moved:
        raise ConfigError(
            f"{sink_id} has positions of its own for partition {_listed(moved)}; if they are to be moved, say so with"
            " --overwrite"
        )


class Adopter(Flusher):
    """Writes a plan."""

    def adopt(self, steps: Sequence[Step], identity: Identity, *, reason: str) -> None:
        """Make the positions what the steps say, in one transaction with their entries in the ledger.

        Raises TransientError where a partition has got a position, or lost it, since the plan was made;
        DefinitionError where the positions belong to another cluster or topic.
        """
        moves = {step.partition: step.after for step in steps if step.before is not None and step.after is not None}
        with self._transaction() as cursor:
            ledger.recognise(cursor, self._source.keeper, identity.cluster_id, self._source.sink_id)
            self._refuse_other_topic(cursor, identity.topic_id)
            moved = repairs.move(cursor, self._source, moves, owner=self._owner, reason=reason)
            added = self._add([step for step in steps if step.kind == "new"], cursor, identity, reason)
            stray = (moves.keys() - moved.keys()) | {step.partition for step in steps if step.kind == "new"} - added
            if stray:
                raise TransientError(
                    f"the position of partition {_listed(sorted(stray))} appeared or vanished meanwhile (did the sink"
                    " start?); nothing was written. Look again: sink offsets show"
                )

    def _refuse_other_topic(self, cursor: psycopg.Cursor, topic_id: str) -> None:
        rows = cursor.execute(
            "SELECT DISTINCT topic_id FROM sink.positions WHERE sink_id = %s AND topic = %s",
            (self._source.sink_id, self._source.topic),
        ).fetchall()
        for (stored,) in rows:
            ledger.same_topic(self._source, topic_id, stored)

    def _add(self, steps: Sequence[Step], cursor: psycopg.Cursor, identity: Identity, reason: str) -> set[int]:
        """Insert positions, each with an entry for what lies before it, so that the ledger says who has read that."""
        added: set[int] = set()
        entries: list[Entry] = []
        for step in steps:
            token, target = uuid.uuid4(), step.after or 0
            cursor.execute(
                "INSERT INTO sink.positions (sink_id, topic, partition, topic_id, next_offset, claim_token, claim_seq,"
                " owner) VALUES (%s, %s, %s, %s, %s, %s, 0, '') ON CONFLICT DO NOTHING",
                (
                    self._source.sink_id,
                    self._source.topic,
                    step.partition,
                    identity.topic_id,
                    target,
                    token,
                ),
            )
            if not cursor.rowcount:
                continue
            added.add(step.partition)
            start = step.log[0]
            if target > start:
                claim = Claim(partition=step.partition, token=token, seq=0, start=start)
                entries.append(Entry(partition=step.partition, from_offset=start, to_offset=target, claim=claim))
        if entries:
            ledger.record(cursor, self._source, entries, kind="skip", owner=self._owner, reason=reason)
        return added


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
