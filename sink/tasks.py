"""The writer thread: runs one call at a time beside the thread that owns the consumer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Task(Protocol[T_co]):
    """A call on its way."""

    def done(self) -> bool:
        """Say whether it has ended."""

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most so long; say whether it has ended."""

    def result(self) -> T_co:
        """Give what it returned, or raise what it raised; only once it is done."""


class Writer(Protocol):
    """Runs calls one after the other; the simulator has one whose schedule decides when."""

    def submit(self, call: Callable[[], T]) -> Task[T]:
        """Queue a call."""


class _ThreadTask(Task[T_co]):
    def __init__(self, future: Future[T_co]) -> None:
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def wait(self, seconds: float) -> bool:
        return not wait([self._future], timeout=seconds).not_done

    def result(self) -> T_co:
        return self._future.result(timeout=0)


class ThreadWriter:
    """One writer thread; libpq releases the interpreter while it waits for the database."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"write {name}")

    def submit(self, call: Callable[[], T]) -> Task[T]:
        """Queue a call."""
        return _ThreadTask(self._executor.submit(call))

    def close(self) -> None:
        """Take no more calls; one that runs goes on."""
        self._executor.shutdown(wait=False, cancel_futures=True)
