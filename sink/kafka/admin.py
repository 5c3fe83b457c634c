"""The market topics: what they should be, what they are, and making those that are missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # the stub forgets to re-export them
    ConfigResource,
    NewTopic,
    ResourceType,
)

from sink.errors import TransientError
from sink.kafka.clients import admin_client
from sink.kafka.errors import translated
from sink.kafka.reach import unanswered

_LOOK_AGAIN_SECONDS = 0.1
BROKER_DEFAULT = -1
"""As a replication factor: what the broker is set to."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a market topic should be; what is None or BROKER_DEFAULT is left to the broker and not checked."""

    name: str
    partitions: int
    replication_factor: int = BROKER_DEFAULT
    retention_ms: int | None = None
    min_insync_replicas: int | None = None

    @property
    def config(self) -> dict[str, str]:
        """The topic's configuration; deleting by age, since compacting would drop all but a symbol's newest row."""
        config = {"cleanup.policy": "delete"}
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if self.min_insync_replicas is not None:
            config["min.insync.replicas"] = str(self.min_insync_replicas)
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a topic is: None for the counts where it does not exist, and in words how it differs from what is wanted."""

    name: str
    partitions: int | None
    replication_factor: int | None
    config: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[str, ...] = ()
    created: bool = False

    @property
    def missing(self) -> bool:
        """Whether the topic does not exist."""
        return self.partitions is None


class Topics:
    """Topics of one cluster.

    ``kafka`` holds librdkafka's options, ``timeout`` is how long a broker may take, in seconds, as ``clock`` counts.
    Every call raises TransientError where no broker answers, DefinitionError where it refuses.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        *,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._timeout, self._clock, self._sleep = timeout, clock, sleep
        self._kafka, self._servers = kafka, kafka.get("bootstrap.servers", "")
        self._admin = admin_client(kafka, module=__name__)

    def check(self, wanted: Sequence[Wanted]) -> list[Found]:
        """Look at topics and say how each differs from what is wanted; changes nothing."""
        return self._check(wanted, created=frozenset())

    def apply(self, wanted: Sequence[Wanted]) -> list[Found]:
        """Create the topics that are missing and give what there is then; those that exist are never changed.

        More partitions would move symbols to other partitions, and a shorter retention deletes: both are a person's
        decision.
        """
        missing = {topic.name for topic in self.check(wanted) if topic.missing}
        created = frozenset(topic.name for topic in wanted if topic.name in missing and self._create(topic))
        found = self._check(wanted, created=created)
        # A broker lists a new topic a moment after its creation is confirmed.
        until = self._clock() + self._timeout
        while any(topic.missing for topic in found) and self._clock() < until:
            self._sleep(_LOOK_AGAIN_SECONDS)
            found = self._check(wanted, created=created)
        return found

    def _check(self, wanted: Sequence[Wanted], *, created: frozenset[str]) -> list[Found]:
        doing = f"asking {self._servers} for its topics"
        try:
            known = self._admin.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise unanswered(error, self._kafka, doing=doing) from error
        found: list[Found] = []
        for topic in wanted:
            metadata = known.get(topic.name)
            if metadata is None:
                found.append(
                    Found(
                        name=topic.name, partitions=None, replication_factor=None, drift=("the topic does not exist",)
                    )
                )
                continue
            replicas = min((len(partition.replicas) for partition in metadata.partitions.values()), default=0)
            config = self._config(topic)
            found.append(
                Found(
                    name=topic.name,
                    partitions=len(metadata.partitions),
                    replication_factor=replicas,
                    config=config,
                    drift=_drift(topic, len(metadata.partitions), replicas, config),
                    created=topic.name in created,
                )
            )
        return found

    def _config(self, topic: Wanted) -> dict[str, str]:
        """Give the topic's values of what is wanted of it."""
        resource = ConfigResource(ResourceType.TOPIC, topic.name)
        doing = f"reading the configuration of {topic.name}"
        futures = _try(lambda: self._admin.describe_configs([resource], request_timeout=self._timeout), doing=doing)
        entries = _result(futures[resource], doing=doing, timeout=2 * self._timeout)
        return {name: str(entries[name].value) for name in topic.config if name in entries}

    def _create(self, topic: Wanted) -> bool:
        """Create a topic; False where somebody else was faster."""
        new = NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            config=topic.config,
        )
        doing = f"creating topic {topic.name}"
        futures = _try(
            lambda: self._admin.create_topics(
                [new], operation_timeout=self._timeout, request_timeout=2 * self._timeout
            ),
            doing=doing,
        )
        try:
            futures[topic.name].result(3 * self._timeout)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise translated(error.args[0], doing=doing) from error
        except TimeoutError as error:
            raise TransientError(f"{doing} took too long") from error
        return True


def _drift(topic: Wanted, partitions: int, replicas: int, config: Mapping[str, str]) -> tuple[str, ...]:
    """Say how a topic differs from what is wanted; more partitions or replicas than wanted are no harm."""
    differences: list[str] = []
    if partitions < topic.partitions:
        differences.append(f"{partitions} partitions, {topic.partitions} wanted")
    if replicas < topic.replication_factor:
        differences.append(f"{replicas} replicas, {topic.replication_factor} wanted")
    differences.extend(
        f"{name} is {config.get(name, 'not set')}, {value} wanted"
        for name, value in topic.config.items()
        if config.get(name) != value
    )
    return tuple(differences)


def _try(call: Callable[[], T], *, doing: str) -> T:
    try:
        return call()
    except KafkaException as error:
        raise translated(error.args[0], doing=doing) from error


def _result(future: Future[T], *, doing: str, timeout: float) -> T:
    try:
        return future.result(timeout=timeout)
    except KafkaException as error:
        raise translated(error.args[0], doing=doing) from error
    except TimeoutError as error:
        raise TransientError(f"{doing} took too long") from error
