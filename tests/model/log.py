"""A topic and its consumer group in memory, and each member's own view of both, which may be out of date."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sink.batch import Decoded, Messages
from sink.datasets import Dataset
from sink.errors import TransientError
from sink.kafka.log import Committed, Identity, Listener, Polled
from tests.model.clock import Time
from tests.model.material import Told, decoded, messages_of

Event = Literal["assigned", "revoked", "lost"]


@dataclass(slots=True, kw_only=True)
class Topic:
    """What Kafka holds: messages at their offsets (gaps allowed), the group's commits, and its view of who has what."""

    name: str
    dataset: Dataset
    told: dict[int, list[Told]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    """The offset behind everything; control records may stand before it."""
    commits: dict[int, Committed] = field(default_factory=dict)
    owners: dict[int, int | None] = field(default_factory=dict)
    original: int = 0
    """How many partitions it had when it was made."""
    lenient: bool = False
    """Whether members that the group has forgotten may still commit."""
    durable: Counter[int] = field(default_factory=Counter)
    """The highest position that each partition ever had in the database."""
    trespasses: list[str] = field(default_factory=list)
    """What was done too early (a commit of what was not durable), or by somebody who did not hold the claim."""

    def add_partition(self) -> int:
        """Grow by a partition."""
        number = len(self.told)
        self.told[number], self.ends[number], self.owners[number] = [], 0, None
        return number

    def append(self, told: Told, behind: int) -> None:
        """Append a message, and ``behind`` it that many offsets that are never delivered."""
        self.told[told.partition].append(told)
        self.ends[told.partition] = told.offset + 1 + behind

    def everything(self) -> list[Told]:
        """Give all messages."""
        return [one for told in self.told.values() for one in told]


@dataclass(slots=True, kw_only=True)
class Consumer:
    """One member's consumer; what the group has decided reaches it at a poll, in order, or later, or never."""

    topic: Topic
    number: int
    time: Time
    listener: Listener | None = None
    broken: bool = False
    """The next poll breaks off; what it would have given is lost on the way."""
    silent: int = 0
    """So many questions remain unanswered."""
    deaf: bool = False
    """The next commit is lost."""
    overtaken: bool = False
    """Delivery after the next seek starts over from the beginning, as a slow broker makes it."""
    positions: dict[int, int] = field(default_factory=dict)
    """What is ours, by our own view."""
    _events: deque[tuple[Event, int, Callable[[], None] | None]] = field(default_factory=deque)
    _paused: set[int] = field(default_factory=set)
    _told_end: dict[int, int] = field(default_factory=dict)

    def tell(self, event: Event, partition: int, then: Callable[[], None] | None = None) -> None:
        """Have the next poll tell the member of a partition; ``then`` runs once it has heard."""
        self._events.append((event, partition, then))

    @property
    def expects(self) -> set[int]:
        """Name the partitions that are ours once everything was heard."""
        held = set(self.positions)
        for event, partition, _ in self._events:
            (held.add if event == "assigned" else held.discard)(partition)
        return held

    def poll(self, limit: int, wait: float) -> Polled:
        """Tell the listener what happened, then give messages of what is not paused."""
        self.time.now += wait
        while self._events:
            event, partition, then = self._events.popleft()
            self._hear(event, partition)
            if then is not None:
                then()
        given = [one for partition in sorted(self.positions) for one in self._deliver(partition)][:limit]
        for one in given:
            self.positions[one.partition] = one.offset + 1
        if self.broken:
            self.broken = False
            raise TransientError("the poll broke off")
        return Polled(messages=messages_of(given, self.topic.name), reached=self._ends_reached())

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume."""
        self.positions[partition] = 0 if self.overtaken else offset
        self.overtaken = False
        self._told_end.pop(partition, None)
        self._paused.discard(partition)

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing of these."""
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver again; fetching starts anew, so that an end is told again."""
        self._paused.difference_update(partitions)
        for partition in partitions:
            self._told_end.pop(partition, None)

    def log_range(self, partition: int) -> tuple[int, int]:
        """Give the first offset that exists and the one behind the last."""
        self._answer()
        return 0, self.topic.ends[partition]

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed]:
        """Give the group's commits."""
        self._answer()
        return {number: self.topic.commits[number] for number in partitions if number in self.topic.commits}

    def partitions(self) -> list[int]:
        """List the topic's partitions."""
        return sorted(self.topic.told)

    def identity(self) -> Identity:
        """Say which cluster and topic this is."""
        return Identity(cluster_id="cluster-1", topic_id="topic-1")

    def log_ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Give the ends of these partitions."""
        return {partition: self.topic.ends[partition] for partition in partitions}

    def commit_offsets(self, offsets: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Keep the commits, unless the group has forgotten us or they are lost; none may run ahead of the database."""
        del epochs
        topic = self.topic
        for partition, offset in offsets.items():
            if offset > topic.durable[partition]:
                topic.trespasses.append(f"{partition}/{offset} committed, durable is {topic.durable[partition]}")
            if not self.deaf and (topic.lenient or topic.owners[partition] == self.number):
                topic.commits[partition] = Committed(offset=offset, marked=True)
        self.deaf = False

    def _answer(self) -> None:
        if self.silent:
            self.silent -= 1
            raise TransientError("no answer")

    def _hear(self, event: Event, partition: int) -> None:
        if self.listener is None:
            raise AssertionError("nobody listens")
        if event == "assigned":
            self.positions[partition] = 0
            self._paused.add(partition)
            self.listener.assigned([partition])
        elif partition in self.positions:
            (self.listener.revoked if event == "revoked" else self.listener.lost)([partition])
            del self.positions[partition]
            self._paused.discard(partition)
            self._told_end.pop(partition, None)

    def _deliver(self, partition: int) -> list[Told]:
        if partition in self._paused:
            return []
        return [one for one in self.topic.told[partition] if one.offset >= self.positions[partition]]

    def _ends_reached(self) -> dict[int, int]:
        """Name the partitions at whose end we have arrived; an end is told once, as librdkafka does."""
        reached = {
            partition: self.topic.ends[partition]
            for partition in self.positions
            if partition not in self._paused
            and not self._deliver(partition)
            and self._told_end.get(partition) != self.topic.ends[partition]
        }
        self._told_end |= reached
        return reached


@dataclass(slots=True, kw_only=True)
class Decoder:
    """Decodes by looking messages up again; the registry does not answer the next ``away`` times."""

    topic: Topic
    away: int = 0

    def decode(self, messages: Messages) -> Decoded:
        """Give the columns of these messages."""
        if self.away:
            self.away -= 1
            raise TransientError("the registry does not answer")
        known = {(one.partition, one.offset): one for one in self.topic.everything()}
        places = zip(messages.partitions, messages.offsets, strict=True)
        return decoded([known[place] for place in places], self.topic.dataset)
