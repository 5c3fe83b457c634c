"""MarketProducer puts the repository's payloads into the market topics, each delivered once and in order per symbol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sink.avro.registry import Registry
from sink.errors import BadMessage, DefinitionError, SinkError, TransientError
from sink.kafka.clients import refusals_told
from sink.kafka.errors import cause, translated
from sink.kafka.logs import remarks
from sink.kafka.reach import unanswered
from sink.producing.payload import DATASET_OF, Payload
from sink.producing.routes import Route

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_SYMBOL = 64
# How long a producer still tries to deliver after an error in the block that uses it.
_ABANDONED_SECONDS = 5.0
_POLL_EVERY = 1_000
_DEFAULTS: dict[str, str | int] = {
    "linger.ms": 20,
    "compression.type": "lz4",
    "batch.num.messages": 10_000,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 65_536,
    # As Java's producers do it, so that a symbol has one partition whoever produces it.
    "partitioner": "murmur2_random",
    "delivery.timeout.ms": 120_000,
}
_OWNED: dict[str, str | int | bool] = {"acks": "all", "enable.idempotence": True, "allow.auto.create.topics": False}


class MarketProducer:
    """Typed producer for the market topics; use it as a context manager, whose end flushes.

    ``kafka`` holds librdkafka's options (``bootstrap.servers`` at least); idempotence and acks=all are not to be had
    otherwise. With ``registry`` values are framed with the registry's id, without one in Avro single-object encoding.
    ``schemas`` is the folder of the Avro schemas (default: the shipped ones). Messages are keyed by symbol.
    ``timeout`` is how long the broker may take to name its topics, in seconds.

    Kafka's record timestamp is the moment of producing unless a call gives another one: the sink lets what was
    produced later win, so that producing the same payloads again rewrites the rows with the same values.

    Raises TransientError where broker or registry cannot be reached, DefinitionError where topic, grant or schema is
    missing, BadMessage for a payload that the schema cannot hold; a failed delivery raises at the next call.
    """

    def __init__(
        self,
        kafka: Mapping[str, str],
        *,
        registry: Registry | None = None,
        schemas: Path | None = None,
        topic_prefix: str = "market.",
        timeout: float = 10.0,
    ) -> None:
        self._timeout = timeout
        self._registry, self._schemas, self._topic_prefix = registry, schemas, topic_prefix
        self._kafka, self._servers = kafka, kafka.get("bootstrap.servers", "")
        self._routes: dict[type[Payload], Route] = {}
        self._delivered: Counter[tuple[str, int]] = Counter()
        self._failure: SinkError | None = None
        self._since_poll = 0
        options = {**_DEFAULTS, **kafka, **_OWNED, "error_cb": self._on_error, "on_delivery": self._on_delivery}
        with refusals_told():
            self._producer = Producer(options, logger=remarks(__name__))

    @property
    def delivered(self) -> dict[str, dict[int, int]]:
        """How many messages the broker has acknowledged, by topic and partition."""
        topics: dict[str, dict[int, int]] = {}
        for (topic, partition), count in sorted(self._delivered.items()):
            topics.setdefault(topic, {})[partition] = count
        return topics

    def produce(self, payload: Payload, *, timestamp: datetime | None = None) -> None:
        """Queue one payload; ``timestamp`` (default: now) becomes Kafka's record timestamp, cut to milliseconds.

        Waits while the queue is full; nothing is ever dropped.
        """
        if self._failure is not None:
            raise self._failure
        route = self._routes.get(type(payload)) or self._open(type(payload))
        if not 1 <= len(payload.symbol) <= LONGEST_SYMBOL:
            raise BadMessage("text", f"{payload!r} cannot be produced: a symbol has 1 to {LONGEST_SYMBOL} characters")
        self._enqueue(route.topic, route.value(payload), payload.symbol.encode(), _milliseconds(timestamp))

    def produce_many(self, payloads: Iterable[Payload]) -> int:
        """Queue payloads one after the other; gives their number."""
        count = 0
        for payload in payloads:
            self.produce(payload)
            count += 1
        return count

    def flush(self, *, timeout: float = 150.0) -> None:
        """Wait until every queued message is delivered, at most ``timeout`` seconds.

        Raises what the first failed delivery means, with topic and reason.
        """
        waiting = self._producer.flush(timeout)
        if self._failure is not None:
            raise self._failure
        if waiting:
            raise TransientError(f"{waiting} messages were not delivered to {self._servers} within {timeout:g} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
            return
        # What was queued before the error is delivered if the broker can take it; the error itself goes on up.
        self._producer.flush(_ABANDONED_SECONDS)
        self._producer.purge()

    def _open(self, kind: type[Payload]) -> Route:
        """Make the route of a payload's class at its first use, making sure that its topic is there."""
        dataset = DATASET_OF.get(kind)
        if dataset is None:
            raise TypeError(
                f"{kind.__name__} is none of the payloads: {', '.join(known.__name__ for known in DATASET_OF)}"
            )
        topic = self._topic_prefix + dataset
        try:
            # All topics: asking for a single one would create it on brokers that create topics by themselves.
            known = self._producer.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise unanswered(error, self._kafka, doing=f"asking {self._servers} for its topics") from error
        if topic not in known:
            raise DefinitionError(f"topic {topic} does not exist on {self._servers}; create it with: sink topics apply")
        route = Route(dataset, topic=topic, registry=self._registry, schemas=self._schemas)
        self._routes[kind] = route
        return route

    def _enqueue(self, topic: str, value: bytes, key: bytes, timestamp: int) -> None:
        self._since_poll += 1
        if self._since_poll >= _POLL_EVERY:
            self._since_poll = 0
            self._producer.poll(0)
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp)
            except BufferError:
                self._producer.poll(0.1)
                if self._failure is not None:
                    raise self._failure from None
            except KafkaException as error:
                raise translated(cause(error), doing=f"producing to {topic}") from error
            else:
                return

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        topic, partition = message.topic() or "", message.partition()
        if error is None:
            self._delivered[topic, -1 if partition is None else partition] += 1
            return
        if self._failure is None:
            self._failure = translated(error, doing=f"producing to {topic}")

    def _on_error(self, error: KafkaError) -> None:
        # Told of every lost connection, most of which mend themselves; only a fatal one ends the producer.
        if error.fatal() and self._failure is None:
            self._failure = translated(error, doing=f"producing to {self._servers}")


def _milliseconds(timestamp: datetime | None) -> int:
    """Give librdkafka's form of a record timestamp, in which 0 means now."""
    if timestamp is None:
        return 0
    aware = timestamp if timestamp.tzinfo is not None else timestamp.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(milliseconds=1)
