"""Continuous load: a thread that produces until it is told to pause."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from tests.chaos.messages import Made
from tests.chaos.producing import producer_of, send

BURST = 20
DELIVERY = 120.0
"""Seconds that the broker may be away."""


class Load:
    """Produces messages at ``rate`` a second while it runs; in between everything is delivered."""

    def __init__(self, bootstrap_servers: str, topic: str, made: Iterable[Made], *, rate: float) -> None:
        self._topic = topic
        self._made = iter(made)
        self._pause = BURST / rate
        self._producer = producer_of(bootstrap_servers)
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Produce beside the caller; afterwards wait until the broker has everything."""
        self._stop.clear()
        thread = threading.Thread(target=self._run, name="load", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(DELIVERY)
            left = self._producer.flush(DELIVERY)
        if thread.is_alive() or left:
            raise TimeoutError(f"the broker took {DELIVERY:g} s and more for {left} messages")

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            send(self._producer, self._topic, islice(self._made, BURST))
