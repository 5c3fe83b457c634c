"""Does something again and again beside the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(work: Callable[[], None], *, every: float, name: str) -> Iterator[None]:
    """Do something every so many seconds on a thread; what it raises is raised when the block is left."""
    stop = threading.Event()
    failures: list[Exception] = []

    def repeat() -> None:
        try:
            while not stop.wait(every):
                work()
        except Exception as error:  # noqa: BLE001 - raised below, on the caller's thread
            failures.append(error)

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]
