"""A Kafka topic in memory, as the pipeline sees it; a test moves partitions and messages as it likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sink.batch import Decoded, Messages
from sink.errors import DefinitionError, TransientError
from sink.kafka.log import Committed, Identity, Listener, LogFault, Polled
from tests.build import Told, decoded, messages


@dataclass(slots=True)
class FakeLog:
    """One topic and one consumer of it; messages of a partition stand at their own offsets, gaps allowed."""

    told: dict[int, list[Told]]
    listener: Listener | None = None
    commits: dict[int, Committed] = field(default_factory=dict)
    log_starts: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    """Ends of partitions that lie behind their last message (control records)."""
    faults: list[LogFault] = field(default_factory=list)
    broken: bool = False
    """The next poll breaks off; what it would have given is lost on the way."""
    asleep: set[int] = field(default_factory=set)
    """Partitions that deliver nothing, and tell no end, until they are read from somewhere again."""
    silent: bool = False
    """Kafka answers no questions."""
    topic_id: str = "topic-1"
    deleted: bool = False
    """There is no such topic any more; consumers are told nothing of it."""
    _events: list[tuple[str, list[int]]] = field(default_factory=list)
    _positions: dict[int, int] = field(default_factory=dict)
    _paused: set[int] = field(default_factory=set)

    def assign(self, *partitions: int) -> None:
        """Give partitions to the member at its next poll."""
        self._events.append(("assigned", list(partitions)))

    def revoke(self, *partitions: int) -> None:
        """Take partitions away in good order at the next poll."""
        self._events.append(("revoked", list(partitions)))

    def lose(self, *partitions: int) -> None:
        """Take partitions away without a farewell at the next poll."""
        self._events.append(("lost", list(partitions)))

    def jump(self, partition: int, offset: int) -> None:
        """Deliver from here on, although nobody asked for it."""
        self._positions[partition] = offset

    def paused(self) -> set[int]:
        """Name the partitions that are ours and deliver nothing."""
        return self._paused & set(self._positions)

    def poll(self, limit: int, wait: float) -> Polled:
        """Tell the listener what happened, then give messages of what is not paused."""
        del wait
        for event, partitions in self._taken_events():
            self._tell(event, partitions)
        given = [one for partition in sorted(self._positions) for one in self._deliver(partition)][:limit]
        for one in given:
            self._positions[one.partition] = one.offset + 1
        if self.broken:
            self.broken = False
            raise TransientError("the poll broke off")
        reached = {
            partition: self.end(partition)
            for partition, at in self._positions.items()
            if partition not in self._paused | self.asleep and not self._deliver(partition) and at >= 0
        }
        faults, self.faults = self.faults, []
        return Polled(messages=messages(given), reached=reached, faults=faults)

    def end(self, partition: int) -> int:
        """Give the offset behind everything in a partition."""
        last = max((one.offset + 1 for one in self.told[partition]), default=self.log_starts.get(partition, 0))
        return max(last, self.ends.get(partition, 0))

    def log_ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Give the ends of these partitions."""
        return {partition: self.end(partition) for partition in partitions}

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume."""
        self._positions[partition] = offset
        self._paused.discard(partition)
        self.asleep.discard(partition)

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing of these."""
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver again."""
        self._paused.difference_update(partitions)

    def log_range(self, partition: int) -> tuple[int, int]:
        """Give the first offset that exists and the one behind the last."""
        if self.silent:
            raise TransientError("no answer")
        return self.log_starts.get(partition, 0), self.end(partition)

    def offsets_at(self, moment: datetime, partitions: Sequence[int]) -> dict[int, int]:
        """Give the first offset whose record time is not before a moment; the log's end where there is none."""
        return {
            partition: next((one.offset for one in self.told[partition] if one.at >= moment), self.end(partition))
            for partition in partitions
        }

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed]:
        """Give the group's commits."""
        return {partition: self.commits[partition] for partition in partitions if partition in self.commits}

    def partitions(self) -> list[int]:
        """List the topic's partitions."""
        return sorted(self.told)

    def identity(self) -> Identity:
        """Say which cluster and topic this is."""
        if self.deleted:
            raise DefinitionError("the topic does not exist; create it with: sink topics apply")
        return Identity(cluster_id="cluster-1", topic_id=self.topic_id)

    def commit_offsets(self, offsets: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Keep the group's commit, with our mark."""
        del epochs
        self.commits |= {partition: Committed(offset=offset, marked=True) for partition, offset in offsets.items()}

    def _taken_events(self) -> list[tuple[str, list[int]]]:
        events, self._events = self._events, []
        return events

    def _tell(self, event: str, partitions: list[int]) -> None:
        if self.listener is None:
            raise AssertionError("nobody listens")
        if event == "assigned":
            self._positions |= dict.fromkeys(partitions, 0)
            self._paused.update(partitions)
            self.listener.assigned(partitions)
            return
        if event == "revoked":
            self.listener.revoked(partitions)
        else:
            self.listener.lost(partitions)
        for partition in partitions:
            self._positions.pop(partition, None)
            self._paused.discard(partition)

    def _deliver(self, partition: int) -> list[Told]:
        if partition in self._paused | self.asleep:
            return []
        first = max(self._positions[partition], self.log_starts.get(partition, 0))
        return [one for one in self.told[partition] if one.offset >= first]


@dataclass(slots=True)
class FakeDecoder:
    """Decodes by looking the messages up again; ``away`` stands for a registry that does not answer."""

    log: FakeLog
    away: bool = False

    def decode(self, given: Messages) -> Decoded:
        """Give the columns of these messages."""
        if self.away:
            raise TransientError("the registry does not answer")
        known = {(one.partition, one.offset): one for told in self.log.told.values() for one in told}
        return decoded([known[place] for place in zip(given.partitions, given.offsets, strict=True)])


def partition_of(number: int, offsets: Sequence[int]) -> list[Told]:
    """Fill a partition with trades whose ids tell where they came from: partition * 1000 + offset."""
    return [Told(partition=number, offset=offset, trade_id=number * 1000 + offset) for offset in offsets]
