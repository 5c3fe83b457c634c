"""Asks the brokers what a check wants to know of topics and groups; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # the stub forgets to re-export them
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from sink.kafka.clients import admin_client

_DENIED = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})

_NEWEST = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFacts:
    """A topic as the broker shows it to us; ``partitions`` is None where it does not exist."""

    name: str
    partitions: int | None = None
    replicas: int = 0
    """Of the partition that has fewest."""
    without_leader: tuple[int, ...] = ()
    operations: frozenset[str] | None = None
    """What we may do, in upper case as ACLs name it; None where the broker does not say."""
    denied: bool = False
    """We may not even see whether it exists."""
    config: Mapping[str, str] | None = None
    """None where we may not read it, which the sink does not need."""
    newest: datetime | None = None
    """Greatest record timestamp."""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """A consumer group as the broker shows it to us."""

    name: str
    operations: frozenset[str] | None = None
    denied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaFacts:
    """What the brokers told."""

    cluster_id: str
    brokers: int
    topics: Sequence[TopicFacts] = field(default_factory=tuple)
    groups: Sequence[GroupFacts] = field(default_factory=tuple)


def gather(
    options: Mapping[str, str], *, topics: Sequence[str], groups: Sequence[str], timeout: float
) -> KafkaFacts | None:
    """Ask for these topics and groups; None where no broker answers in time (``sink.kafka.reach`` says why)."""
    admin = admin_client(options, module=__name__)
    try:
        metadata = admin.list_topics(timeout=timeout)
    except KafkaException:
        return None
    asked = _Asked(admin, timeout)
    return KafkaFacts(
        cluster_id=str(metadata.cluster_id),
        brokers=len(metadata.brokers),
        topics=[asked.topic(name) for name in topics],
        groups=[asked.group(name) for name in groups],
    )


class _Asked:
    """The questions about one topic or group; what is denied is an answer too."""

    def __init__(self, admin: AdminClient, timeout: float) -> None:
        self._admin = admin
        self._timeout = timeout

    def topic(self, name: str) -> TopicFacts:
        futures = self._admin.describe_topics(
            TopicCollection([name]), include_authorized_operations=True, request_timeout=self._timeout
        )
        found, error = self._answer(futures[name])
        if error is not None:
            missing = error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}  # noqa: SLF001
            denied = error.code() in _DENIED
            return TopicFacts(name=name, denied=denied, error=None if missing or denied else error.str())
        described: Any = found
        return TopicFacts(
            name=name,
            partitions=len(described.partitions),
            replicas=min((len(partition.replicas) for partition in described.partitions), default=0),
            without_leader=tuple(partition.id for partition in described.partitions if partition.leader is None),
            operations=_names(described.authorized_operations),
            config=self._config(name),
            newest=self._newest(name, [partition.id for partition in described.partitions]),
        )

    def group(self, name: str) -> GroupFacts:
        futures = self._admin.describe_consumer_groups(
            [name], include_authorized_operations=True, request_timeout=self._timeout
        )
        found, error = self._answer(futures[name])
        if error is not None:
            return GroupFacts(name=name, denied=error.code() in _DENIED)
        described: Any = found
        return GroupFacts(name=name, operations=_names(described.authorized_operations))

    def _config(self, name: str) -> Mapping[str, str] | None:
        resource = ConfigResource(ResourceType.TOPIC, name)
        found, error = self._answer(self._admin.describe_configs([resource], request_timeout=self._timeout)[resource])
        return None if error is not None else {key: str(entry.value) for key, entry in (found or {}).items()}

    def _newest(self, name: str, partitions: Sequence[int]) -> datetime | None:
        asked = {TopicPartition(name, number): _NEWEST for number in partitions}
        futures = self._admin.list_offsets(asked, request_timeout=self._timeout)
        stamps = []
        for future in futures.values():
            found, error = self._answer(future)
            if error is None and found is not None and found.timestamp > 0:
                stamps.append(found.timestamp)
        return datetime.fromtimestamp(max(stamps) / 1000, UTC) if stamps else None

    def _answer(self, future: Future[T]) -> tuple[T | None, KafkaError | None]:
        try:
            return future.result(timeout=2 * self._timeout), None
        except KafkaException as error:
            return None, error.args[0]
        except TimeoutError:
            return None, KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 (its public spelling)


def _names(operations: Sequence[Any] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(operation.name for operation in operations)
