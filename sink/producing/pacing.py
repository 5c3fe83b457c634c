"""Holds a stream of payloads to a rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sink.producing.payload import Payload

# Waits shorter than this are not worth a system call: the stream runs ahead by as much and then waits once.
_LEAST_WAIT = 0.01


def paced(
    payloads: Iterable[Payload], *, per_second: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Payload]:
    """Give payloads no faster than ``per_second`` over all; ``clock`` counts seconds from anywhere."""
    started = clock()
    for number, payload in enumerate(payloads):
        wait = started + number / per_second - clock()
        if wait > _LEAST_WAIT:
            sleep(wait)
        yield payload
