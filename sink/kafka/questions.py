"""Questions about a topic that go past the consumer, on connections of their own and on any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # not in its __all__

from sink.errors import TransientError
from sink.kafka.clients import cluster_id
from sink.kafka.errors import cause, translated
from sink.kafka.log import Identity


class TopicQuestions:
    """Asks the brokers about one topic; ``cure`` names the grant that an error asks for."""

    def __init__(self, make: Callable[[], AdminClient], topic: str, *, cure: Callable[[KafkaError], str]) -> None:
        self._make = make
        self._topic = topic
        self._cure = cure
        self._client: AdminClient | None = make()

    def identity(self, wait: float) -> Identity:
        """Say which cluster and topic this is; either may be deleted and made anew under the old name."""
        try:
            with self._asking() as client:
                topics = client.describe_topics(TopicCollection([self._topic]), request_timeout=wait)
                topic = topics[self._topic].result(wait)
                cluster = cluster_id(client, wait)
        except KafkaException as error:
            doing = f"asking which cluster and topic {self._topic} is"
            raise translated(cause(error), doing=doing, cure=self._cure(cause(error))) from error
        except TimeoutError as error:
            raise TransientError("Kafka does not say in time which cluster this is") from error
        return Identity(cluster_id=cluster, topic_id=str(topic.topic_id))

    def log_ends(self, partitions: Sequence[int], wait: float) -> dict[int, int]:
        """Give the offsets behind the last readable messages; TransientError where nobody answers."""
        if not partitions:
            return {}
        asked = {TopicPartition(self._topic, partition): OffsetSpec.latest() for partition in partitions}  # type: ignore[no-untyped-call]
        try:
            with self._asking() as client:
                answers = client.list_offsets(
                    asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=wait
                )
                return {place.partition: answer.result(wait).offset for place, answer in answers.items()}
        except (KafkaException, TimeoutError) as error:
            # also where the topic is said to be missing: a broker that has just come back says so of any topic
            raise TransientError(f"Kafka does not say where {self._topic} ends: {error}") from error

    @contextmanager
    def _asking(self) -> Iterator[AdminClient]:
        """Lend the client; one without an answer is replaced: it may have forgotten all brokers (see ``contact``)."""
        # not "or": a client that has nothing to do has a length of 0, and so is false
        client = self._make() if self._client is None else self._client
        self._client = None
        yield client
        self._client = client
