"""What becomes of a client that librdkafka has given up for good: replaced after a while, or a person must look.

After a fatal error a client answers nothing any more, without a further word. Static members meet two. A broker of the
newer protocol refuses a process whose name (``group.instance.id``) still belongs to one that died without leaving: that
passes with the dead one's session. With the classic protocol it is the older process that is thrown out by a newer one
of its name: it must not come back, or the two would throw out each other for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sink.errors import DefinitionError

FIRST_WAIT = 2.0
LONGEST_WAIT = 30.0
"""Seconds until a new client is tried; they double."""


class Demise:
    """Hears of fatal errors, and tells when a new client should take the place of the dead one."""

    def __init__(self, options: Mapping[str, object], clock: Callable[[], float] = time.monotonic) -> None:
        self._instance = options.get("group.instance.id")
        self._classic = options.get("group.protocol") != "consumer"
        self._clock = clock
        self._wait = FIRST_WAIT
        self._at: float | None = None

    @property
    def over(self) -> bool:
        """Whether a new client is due; asked once, it is taken as made."""
        if self._at is None or self._clock() < self._at:
            return False
        self._at = None
        return True

    def hear(self, sentence: str) -> None:
        """Take a fatal error; raises DefinitionError where a new client would only do harm."""
        if self._instance is not None and self._classic:
            raise DefinitionError(
                f"another process has joined with the same SINK_KAFKA__GROUP_INSTANCE_ID ({self._instance}), and Kafka"
                f" lets only one of them be a member: give each replica a name of its own, or none. {sentence}"
            )
        self._at = self._clock() + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def joined(self) -> None:
        """Forget the waits: this client is a member."""
        self._wait = FIRST_WAIT
