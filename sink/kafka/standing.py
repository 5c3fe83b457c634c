"""Asks the brokers how far topics reach, how far groups have come and who is in them; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined] # not in its __all__

from sink.errors import TransientError
from sink.kafka.clients import admin_client, cluster_id
from sink.kafka.commits import committed_of
from sink.kafka.errors import cause, translated
from sink.kafka.log import Committed

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicStanding:
    """A topic's identity and, by partition, the first offset that exists and the one behind the last readable."""

    name: str
    topic_id: str
    logs: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a group, and which (topic, partition) it has been given."""

    client_id: str
    host: str
    partitions: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStanding:
    """A consumer group; ``state`` is the broker's word in lower case, ``dead`` for one that does not exist."""

    name: str
    state: str
    members: Sequence[Member]


class Brokers:
    """One cluster, asked again and again over the same connections.

    ``timeout`` is how long one answer may take, in seconds. Every question raises TransientError where no broker
    answers, DefinitionError where a topic is missing or a grant.
    """

    def __init__(self, options: Mapping[str, str], *, timeout: float) -> None:
        self._admin = admin_client(options, module=__name__)
        self._timeout = timeout

    def cluster_id(self) -> str:
        """Say which cluster this is."""
        return cluster_id(self._admin, self._timeout)

    def topic(self, name: str) -> TopicStanding:
        """Describe a topic as a consumer of committed messages sees it."""
        doing = f"asking for topic {name}"
        described = self._admin.describe_topics(TopicCollection([name]), request_timeout=self._timeout)
        topic: Any = self._answer(described[name], doing=doing, cure=_grant("DESCRIBE", f"topic {name}"))
        numbers = sorted(partition.id for partition in topic.partitions)
        starts = self._offsets(name, numbers, OffsetSpec.earliest(), doing)  # type: ignore[no-untyped-call]
        ends = self._offsets(name, numbers, OffsetSpec.latest(), doing)  # type: ignore[no-untyped-call]
        return TopicStanding(
            name=name,
            topic_id=str(topic.topic_id),
            logs={number: (starts[number], ends[number]) for number in numbers},
        )

    def commits(self, group: str, topic: str) -> dict[int, Committed]:
        """Give a group's commits of a topic, by partition; empty for a group that has none, or does not exist."""
        asked = [ConsumerGroupTopicPartitions(group)]
        answers = self._admin.list_consumer_group_offsets(asked, request_timeout=self._timeout)
        doing = f"asking for the commits of group {group}"
        found: Any = self._answer(answers[group], doing=doing, cure=_grant("DESCRIBE", f"group {group}"))
        return committed_of(place for place in found.topic_partitions if place.topic == topic)

    def group(self, name: str) -> GroupStanding:
        """Say who is in a group."""
        answers = self._admin.describe_consumer_groups([name], request_timeout=self._timeout)
        doing = f"asking who is in group {name}"
        found: Any = self._answer(answers[name], doing=doing, cure=_grant("DESCRIBE", f"group {name}"))
        return GroupStanding(
            name=name,
            state=found.state.name.lower(),
            members=[
                Member(
                    client_id=member.client_id,
                    host=member.host.lstrip("/"),
                    partitions=frozenset((at.topic, at.partition) for at in member.assignment.topic_partitions),
                )
                for member in found.members
            ],
        )

    def _offsets(self, topic: str, partitions: Sequence[int], spec: OffsetSpec, doing: str) -> dict[int, int]:
        if not partitions:
            return {}
        answers = self._admin.list_offsets(
            {TopicPartition(topic, partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._timeout,
        )
        return {place.partition: self._answer(answer, doing=doing).offset for place, answer in answers.items()}

    def _answer(self, future: Future[T], *, doing: str, cure: str = "") -> T:
        try:
            return future.result(timeout=2 * self._timeout)
        except KafkaException as error:
            raise translated(cause(error), doing=doing, cure=cure) from error
        except TimeoutError as error:
            raise TransientError(f"{doing} took too long") from error


def _grant(operation: str, of: str) -> str:
    return f". Grant the user {operation} on {of}"
