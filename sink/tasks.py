"""The writer thread: runs one call at a time beside the thread that owns the consumer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
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
    def __init__(self, call: Callable[[], T_co]) -> None:
        self.call = call
        self.future: Future[T_co] = Future()

    def run(self) -> None:
        try:
            self.future.set_result(self.call())
        except BaseException as error:  # noqa: BLE001 (whoever asks for the result gets it)
            self.future.set_exception(error)

    def done(self) -> bool:
        return self.future.done()

    def wait(self, seconds: float) -> bool:
        return not wait([self.future], timeout=seconds).not_done

    def result(self) -> T_co:
        return self.future.result(timeout=0)


class ThreadWriter:
    """One writer thread; libpq releases the interpreter while it waits for the database.

    A daemon, unlike the threads of the standard library's executors, for which Python waits at its end: a call that
    hangs must not keep the process.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, name=f"write {name}", daemon=True).start()

    def submit(self, call: Callable[[], T]) -> Task[T]:
        """Queue a call."""
        task = _ThreadTask(call)
        self._calls.put(task.run)
        return task

    def _work(self) -> None:
        while True:
            self._calls.get()()
