"""Tells a consumer group what is durable, and tells it again where it refused; knows our commits from others.

A broker refuses a commit that reaches it after a rebalance has begun or ended without us. Nothing is lost by it: the
database has the position. But of a partition that then falls silent no flush would ever commit again, and whoever
looks at the group alone, a lag tool or an autoscaler, would see a lag for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from sink.kafka.log import Committed

log = structlog.get_logger(__name__)

MARK = "kafka-timescale-sink"
"""Stands in the metadata of our commits: a lower commit without it is an operator's wish to rewind."""


class Commits:
    """The commits of one topic under one group; what was refused is kept until it is taken or no longer ours."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._newest: dict[int, TopicPartition] = {}
        self._refused: set[int] = set()

    def send(self, consumer: Consumer, offsets: Mapping[int, int], epochs: Mapping[int, int]) -> None:
        """Commit without waiting; the answer is heard by :meth:`hear`."""
        points = {
            number: TopicPartition(self._topic, number, offset, metadata=MARK, leader_epoch=epochs.get(number, -1))
            for number, offset in offsets.items()
        }
        self._newest |= points
        self._send(consumer, list(points.values()))

    def again(self, consumer: Consumer) -> None:
        """Commit what was refused once more; to be called every few seconds."""
        if self._refused:
            self._send(consumer, [self._newest[number] for number in sorted(self._refused)])

    def forget(self, partitions: Iterable[int]) -> None:
        """Leave these partitions to whoever owns them now."""
        for number in partitions:
            self._newest.pop(number, None)
            self._refused.discard(number)

    def hear(self, error: KafkaError | None, answered: list[TopicPartition]) -> None:
        """Take the answer to a commit, as librdkafka gives it."""
        for answer in answered:
            newest, failed = self._newest.get(answer.partition), error or answer.error
            if newest is None:
                continue
            if failed is not None:
                self._refuse([answer.partition], failed.str())
            elif answer.offset >= newest.offset:
                self._refused.discard(answer.partition)

    def _send(self, consumer: Consumer, points: list[TopicPartition]) -> None:
        try:
            consumer.commit(offsets=points, asynchronous=True)
        except KafkaException as error:
            self._refuse([point.partition for point in points], str(error))

    def _refuse(self, partitions: list[int], why: str) -> None:
        if not self._refused.issuperset(partitions):
            log.warning(
                "offsets not committed to Kafka; the database has them",
                topic=self._topic,
                partitions=partitions,
                error=why,
            )
        self._refused.update(partitions)


def committed_of(answers: Iterable[TopicPartition]) -> dict[int, Committed]:
    """Give by partition the commits of one topic that there are."""
    return {
        answer.partition: Committed(offset=answer.offset, marked=(answer.metadata or "").startswith(MARK))
        for answer in answers
        if answer.offset >= 0
    }
