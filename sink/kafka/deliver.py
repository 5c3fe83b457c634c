"""Puts raw messages into one topic, and says that they are there only when the broker has said so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sink.errors import DefinitionError, SinkError, TransientError
from sink.kafka.clients import refusals_told, without_group
from sink.kafka.errors import cause, translated
from sink.kafka.logs import remarks
from sink.kafka.reach import unanswered

_DELIVERY_TIMEOUT = 60.0
# a queue of so many bytes is all that is held, whatever the number of messages
_QUEUE_KILOBYTES = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A raw message: ``timestamp`` is Kafka's record time in milliseconds, 0 for now."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int


class Deliverer:
    """Sends to one topic that must exist; ``options`` are librdkafka's, ``timeout`` is for its list of topics."""

    def __init__(self, options: Mapping[str, str], topic: str, *, timeout: float = 10.0) -> None:
        self._options, self._topic, self._timeout = options, topic, timeout
        self._doing = f"producing to {topic}"
        self._failure: SinkError | None = None
        owned: dict[str, str | int | bool] = {
            **without_group(options),
            "acks": "all",
            "enable.idempotence": True,
            "queue.buffering.max.kbytes": _QUEUE_KILOBYTES,
            "delivery.timeout.ms": int(_DELIVERY_TIMEOUT * 1000),
        }
        with refusals_told():
            self._producer = Producer({**owned, "on_delivery": self._on_delivery}, logger=remarks(__name__))
        self._delivered = 0

    def find_topic(self) -> None:
        """Make sure that the topic is there; raises DefinitionError, and TransientError where no broker answers."""
        try:
            # all topics: asking for a single one would create it on brokers that create topics by themselves
            known = self._producer.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise unanswered(error, self._options, doing="asking the brokers for their topics") from error
        if self._topic not in known:
            raise DefinitionError(
                f"topic {self._topic} does not exist; create it with the broker's tools:"
                f" kafka-topics --create --topic {self._topic}"
            )

    def deliver(self, letters: Iterable[Letter]) -> int:
        """Send letters and wait until the broker has all of them; gives their number.

        Raises what the first failed delivery means; what was sent before it may stand in the topic.
        """
        before = self._delivered
        for letter in letters:
            self._send(letter)
        waiting = self._producer.flush(_DELIVERY_TIMEOUT + self._timeout)
        if self._failure is not None:
            raise self._failure
        if waiting:
            raise TransientError(f"{self._doing}: {waiting} messages were not confirmed in time")
        return self._delivered - before

    def _send(self, letter: Letter) -> None:
        while self._failure is None:
            try:
                self._producer.produce(
                    self._topic,
                    letter.value,
                    letter.key,
                    headers=list(letter.headers),
                    timestamp=letter.timestamp,
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise translated(cause(error), doing=self._doing) from error
            else:
                self._producer.poll(0)
                return
        raise self._failure

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self._delivered += 1
        elif self._failure is None:
            self._failure = translated(error, doing=self._doing)
