"""Continuous load: a thread that produces until it is told to pause."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from confluent_kafka import KafkaError, Message

from tests.chaos.messages import Made
from tests.chaos.producing import DELIVERY, producer_of, send

BURST = 20


class Load:
    """Produces messages at ``rate`` a second while it runs; in between everything is delivered or given up.

    A producer that could not deliver is replaced: librdkafka may have forgotten every broker (see
    ``sink.kafka.contact``), and would deliver nothing ever after.
    """

    def __init__(self, bootstrap_servers: str, topic: str, made: Iterable[Made], *, rate: float) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._made = iter(made)
        self._pause = BURST / rate
        self._producer = producer_of(bootstrap_servers)
        self._stop = threading.Event()
        self._deaf = False
        self.delivered = 0
        self.given_up = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Produce beside the caller; afterwards wait until the broker has what can be delivered."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, name="load", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(2 * DELIVERY)
            left = self._producer.flush(2 * DELIVERY)
        if thread.is_alive() or left:
            raise TimeoutError(f"the load neither delivered nor gave up {left} messages within {2 * DELIVERY:g} s")

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            if self._deaf:
                self._producer, self._deaf = producer_of(self._bootstrap_servers), False
            send(self._producer, self._topic, islice(self._made, BURST), self._told)

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self.given_up += 1
            self._deaf = True
