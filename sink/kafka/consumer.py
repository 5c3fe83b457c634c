"""The only reader of topics: one consumer of one dataset's topic, giving columns of raw messages.

One thread owns it. Nothing here commits by itself: offsets leave only through :meth:`TopicConsumer.commit_offsets`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from sink.errors import TransientError
from sink.kafka.clients import admin_client, refusals_told
from sink.kafka.columns import columns, epochs_of, known
from sink.kafka.commits import Commits, committed_of
from sink.kafka.contact import Contact
from sink.kafka.demise import Demise
from sink.kafka.errors import cause, translated
from sink.kafka.log import Committed, FaultKind, Identity, Listener, LogFault, Polled
from sink.kafka.logs import remarks
from sink.kafka.questions import TopicQuestions

log = structlog.get_logger(__name__)

OWNED: dict[str, str | int | bool] = {
    # the database decides where reading starts and what counts as done; neither librdkafka nor a default may
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    # tells how far behind control records a partition really is, in order with its messages
    "enable.partition.eof": True,
    # tells whether the client still knows a broker; commits that were refused are sent again as often
    "statistics.interval.ms": 5000,
}
DEFAULTS: dict[str, str | int | bool] = {
    "check.crcs": True,
    "socket.keepalive.enable": True,
    "queued.max.messages.kbytes": 16 * 1024,
    "queued.min.messages": 20_000,
    "fetch.message.max.bytes": 1024 * 1024,
    "fetch.max.bytes": 4 * 1024 * 1024,
    "fetch.wait.max.ms": 100,
    # a full queue is looked at again soon: the default second leaves a fast reader without messages
    "fetch.queue.backoff.ms": 20,
}

_KINDS: dict[int, FaultKind] = {
    KafkaError._AUTO_OFFSET_RESET: "out_of_range",  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
    KafkaError.OFFSET_OUT_OF_RANGE: "out_of_range",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "topic_missing",
    KafkaError._UNKNOWN_TOPIC: "topic_missing",  # noqa: SLF001
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "denied",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "denied",
}


class TopicConsumer:
    """Reads one topic as a member of one consumer group."""

    def __init__(self, *, options: Mapping[str, str], topic: str, group: str, contact: Contact | None = None) -> None:
        self.topic = topic
        self._group = group
        self.contact = contact or Contact()
        """What the client tells of itself every few seconds."""
        settings: dict[str, object] = {**DEFAULTS, **options, **OWNED, "group.id": group}
        if settings.get("group.protocol") != "consumer":
            settings.setdefault("partition.assignment.strategy", "cooperative-sticky")
        self._commits = Commits(topic)
        settings |= {"error_cb": self._on_error, "on_commit": self._commits.hear, "stats_cb": self._on_report}
        self._settings = settings
        self._demise = Demise(settings)
        self._consumer = self._made()
        self._questions = TopicQuestions(partial(admin_client, options, module=__name__), topic, cure=self._cure)
        self._listener: Listener | None = None
        self._listener_failed = False
        self._taken: list[TopicPartition] | None = None
        """What is read outside the group; None for a member of it."""

    def _made(self) -> Consumer:
        with refusals_told():
            return Consumer(self._settings, logger=remarks(__name__))

    def subscribe(self, listener: Listener) -> None:
        """Join the group; the listener hears of partitions inside :meth:`poll`."""
        self._listener = listener
        self._join()

    def _join(self) -> None:
        self._consumer.subscribe(
            [self.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def take(self, listener: Listener, partitions: Sequence[int]) -> None:
        """Read these partitions outside the group, without joining it; the listener hears of them before this returns.

        Give such a consumer a group of its own: nothing is committed under it, and nobody need be granted it.
        """
        self._listener = listener
        self._taken = [TopicPartition(self.topic, partition, OFFSET_BEGINNING) for partition in partitions]
        self._assign(self._taken)
        listener.assigned(partitions)

    def _assign(self, taken: list[TopicPartition]) -> None:
        try:
            self._consumer.assign(taken)
            self._consumer.pause(taken)
        except KafkaException as error:
            raise translated(cause(error), doing=f"reading {self.topic}") from error

    def poll(self, limit: int, wait: float) -> Polled:
        """Give up to ``limit`` messages within ``wait`` seconds; rebalances happen in here.

        Raises TransientError where messages may have been lost on the way to us: every position is then unknown and
        all partitions must be claimed again. Raises DefinitionError where another process has taken our place.
        """
        try:
            received = self._consumer.consume(limit, wait)
        except KafkaException as error:
            raise TransientError(f"reading {self.topic} broke off: {error}") from error
        if self._listener_failed:
            self._listener_failed = False
            raise TransientError(f"a rebalance of {self.topic} broke off")
        if self.contact.lost or self._demise.over:
            reason = "forgotten all brokers" if self.contact.lost else "given up"
            self._begin_anew()
            raise TransientError(f"Kafka's client of {self.topic} had {reason}; a new one takes its place")
        return self._sorted_out(received)

    def _begin_anew(self) -> None:
        """Replace a client that would never ask a broker again, as if this process had crashed and started anew."""
        old, held = self._consumer, [one.partition for one in self._consumer.assignment()]
        self.contact.begin_anew()
        self._commits.forget(held)
        self._consumer = self._made()
        threading.Thread(target=old.close, name=f"close {self.topic}", daemon=True).start()
        if self._taken is not None:
            self._assign(self._taken)
        else:
            self._told().lost(held)
            self._join()

    def _sorted_out(self, received: list[Message]) -> Polled:
        errors = list(map(Message.error, received))
        if not any(errors):
            return self._polled(received)
        reached: dict[int, int] = {}
        faults: list[LogFault] = []
        for message, error in zip(received, errors, strict=True):
            if error is None:
                continue
            if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED and self._taken is not None:
                continue  # librdkafka asks for the coordinator even where no group is joined
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                reached[known(message.partition())] = known(message.offset())
                continue
            if error.code() == KafkaError._FATAL:  # noqa: SLF001
                self._demise.hear(error.str())
            kind = _KINDS.get(error.code(), "other")
            partition = message.partition()
            faults.append(
                LogFault(
                    kind=kind,
                    partition=partition if partition is not None and partition >= 0 else None,
                    error=f"{error.str()}{self._cure(error)}",
                )
            )
        good = [message for message, error in zip(received, errors, strict=True) if error is None]
        return replace(self._polled(good), reached=reached, faults=faults)

    def _polled(self, good: list[Message]) -> Polled:
        messages = columns(self.topic, good)
        return Polled(messages=messages, epochs=epochs_of(messages.partitions, good))

    def _cure(self, error: KafkaError) -> str:
        """Name the grant that an error asks for, if it asks for one."""
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return f". Grant the sink's user READ and DESCRIBE on topic {self.topic}"
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return f". Grant the sink's user READ on group {self._group}"
        return ""

    def read_from(self, partition: int, offset: int) -> None:
        """Seek and resume: from this offset on, no message of this partition is left out.

        Earlier ones may come as well: while a slow broker still looks up the beginning that the assignment named, its
        answer overtakes the seek. Whoever collects leaves out what lies before the position.
        """
        target = TopicPartition(self.topic, partition, offset)
        try:
            self._consumer.seek(target)
            self._consumer.resume([TopicPartition(self.topic, partition)])
        except KafkaException as error:
            raise TransientError(f"cannot read {self.topic}/{partition} from {offset}: {error}") from error

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing of these partitions; messages fetched ahead are thrown away and fetched again later."""
        self._on_partitions(self._consumer.pause, partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver again, from where delivery stopped."""
        self._on_partitions(self._consumer.resume, partitions)

    def _on_partitions(self, call: Callable[[list[TopicPartition]], None], partitions: Sequence[int]) -> None:
        try:
            call([TopicPartition(self.topic, partition) for partition in partitions])
        except KafkaException as error:
            raise TransientError(f"{self.topic}: {error}") from error

    def log_range(self, partition: int, wait: float = 5) -> tuple[int, int]:
        """Give the first offset that exists and the one behind the last readable message."""
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=wait)
        except (KafkaException, TypeError) as error:  # None, not a pair, stands for a time-out
            raise TransientError(f"Kafka does not say which offsets {self.topic}/{partition} has: {error}") from error
        return low, high

    def offsets_at(self, moment: datetime, partitions: Sequence[int], wait: float = 5) -> dict[int, int]:
        """Give by partition the first offset whose record time is not before a moment; the log's end if there is none.

        Record times are Kafka's, which a producer may have set; they need not rise with the offsets.
        """
        millis = max(0, round(moment.timestamp() * 1000))
        asked = [TopicPartition(self.topic, partition, millis) for partition in partitions]
        try:
            answers = self._consumer.offsets_for_times(asked, timeout=wait)
        except KafkaException as error:
            raise translated(cause(error), doing=f"asking {self.topic} for the offsets of a time") from error
        return {
            answer.partition: answer.offset if answer.offset >= 0 else self.log_range(answer.partition)[1]
            for answer in answers
        }

    def lag(self, positions: Mapping[int, int]) -> int | None:
        """Count the messages behind these positions, as far as the last fetches tell; None while they tell nothing."""
        heard = {partition: self.heard_end(partition) for partition in positions}
        ends = {partition: end for partition, end in heard.items() if end is not None}
        return sum(max(0, end - positions[partition]) for partition, end in ends.items()) if ends else None

    def heard_end(self, partition: int) -> int | None:
        """Give the offset behind the last readable message, as far as the last fetch tells; None where none has."""
        try:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)
        except (KafkaException, RuntimeError):  # the latter once it is closed
            return None
        return end if end >= 0 else None

    def committed(self, partitions: Sequence[int], wait: float = 5) -> dict[int, Committed]:
        """Give the group's commits of these partitions, where there are any."""
        asked = [TopicPartition(self.topic, partition) for partition in partitions]
        try:
            answers = self._consumer.committed(asked, timeout=wait)
        except KafkaException as error:
            doing = f"asking for the commits of {self.topic}"
            raise translated(cause(error), doing=doing, cure=self._cure(cause(error))) from error
        return committed_of(answers)

    def partitions(self, wait: float = 5) -> list[int]:
        """List the topic's partitions; raises DefinitionError where the topic does not exist."""
        try:
            metadata = self._consumer.list_topics(self.topic, timeout=wait).topics[self.topic]
        except KafkaException as error:
            self.contact.connected = False
            raise translated(cause(error), doing=f"asking the broker for {self.topic}") from error
        self.contact.connected = True
        if metadata.error is not None:
            doing = f"asking for the partitions of {self.topic}"
            raise translated(metadata.error, doing=doing, cure=self._cure(metadata.error))
        return sorted(metadata.partitions)

    def identity(self, wait: float = 5) -> Identity:
        """Say which cluster and topic this is; either may be deleted and made anew under the old name."""
        return self._questions.identity(wait)

    def log_ends(self, partitions: Sequence[int], wait: float = 5) -> Mapping[int, int]:
        """Give the offsets behind the last readable messages, on any thread; TransientError where nobody answers."""
        return self._questions.log_ends(partitions, wait)

    def commit_offsets(self, offsets: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Tell the group, without waiting, what is durable; what it refuses of ours is told again (``commits``)."""
        self._commits.send(self._consumer, offsets, epochs)

    def close(self, deadline: float) -> bool:
        """Leave the group; False where that took longer than ``deadline`` seconds and goes on behind our back."""
        closing = threading.Thread(target=self._consumer.close, name=f"close {self.topic}", daemon=True)
        closing.start()
        closing.join(deadline)
        return not closing.is_alive()

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        # An offset must be named: with auto.offset.reset=error a new group gets errors otherwise, and every later seek
        # fails. Paused at once, nothing is delivered before the claim has said where to start.
        self._demise.joined()
        for partition in assigned:
            partition.offset = OFFSET_BEGINNING
        self._guarded(lambda: consumer.incremental_assign(assigned))
        self._guarded(lambda: consumer.pause(assigned))
        self._guarded(lambda: self._told().assigned([partition.partition for partition in assigned]))

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        self._let_go(consumer, revoked, lambda numbers: self._told().revoked(numbers))

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._let_go(consumer, lost, lambda numbers: self._told().lost(numbers))

    def _let_go(self, consumer: Consumer, gone: list[TopicPartition], tell: Callable[[list[int]], None]) -> None:
        if consumer is not self._consumer:
            return  # a client that was replaced, which closes on a thread of its own
        numbers = [partition.partition for partition in gone]
        self._guarded(lambda: tell(numbers))
        self._commits.forget(numbers)
        self._guarded(lambda: consumer.incremental_unassign(gone))

    def _told(self) -> Listener:
        if self._listener is None:
            raise RuntimeError("the group spoke before anybody subscribed")
        return self._listener

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            # An exception that leaves a callback destroys the messages that librdkafka has already taken from its
            # queue. It ends here instead, and poll() says afterwards that every position is unknown.
            self._listener_failed = True
            log.exception("a rebalance broke off; all partitions are claimed again", topic=self.topic)

    def _on_report(self, statistics: str) -> None:
        self.contact.hear(statistics)
        self._commits.again(self._consumer)

    def _on_error(self, error: KafkaError) -> None:
        log.warning("Kafka client", topic=self.topic, error=error.str(), fatal=error.fatal())
