"""The writer thread: runs one call at a time beside the thread that owns the consumer."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
        """Give what it returned, or raise what it raised; once, when it is done."""


class Writer(Protocol):
    """Runs calls one after the other; the simulator has one whose schedule decides when."""

    def submit(self, call: Callable[[], T]) -> Task[T]:
        """Queue a call."""


class _ThreadTask(Task[T_co]):
    def __init__(self, call: Callable[[], T_co]) -> None:
        self._call = call
        self._ended = threading.Event()
        self._outcome: list[T_co] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._outcome.append(self._call())
        except BaseException as error:  # noqa: BLE001 (whoever asks for the result gets it)
            self._error = error
        self._ended.set()

    def done(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        return self._ended.wait(seconds)

    def result(self) -> T_co:
        # The error knows the frames that it passes, and they know this task: if it stayed here, only the garbage
        # collector would find the batch of a flush that has failed, and it looks rarely.
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error
        return self._outcome.pop()


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
