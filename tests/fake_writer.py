"""A writer thread that is none: calls run at once, or when the test lets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class HeldTask(Generic[T]):
    """A call on its way; it runs when released, or when somebody waits for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._values: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Run the call, once."""
        if self.done():
            return
        try:
            self._values.append(self._call())
        except BaseException as error:  # noqa: BLE001 (kept for whoever asks for the result)
            self._error = error

    def done(self) -> bool:
        """Say whether it has ended."""
        return bool(self._values) or self._error is not None

    def wait(self, seconds: float) -> bool:
        """Run it now; a test's time is its own. With no time left, leave it."""
        if seconds > 0:
            self.run()
        return self.done()

    def result(self) -> T:
        """Give what it returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._values[0]


class FakeWriter:
    """Runs calls at once while ``held`` is false, else keeps the last one for :meth:`release`."""

    def __init__(self) -> None:
        self.held = False
        self._release: Callable[[], None] | None = None

    def submit(self, call: Callable[[], T]) -> HeldTask[T]:
        """Take a call."""
        task = HeldTask(call)
        self._release = task.run
        if not self.held:
            task.run()
        return task

    def release(self) -> None:
        """Let the call run that is held."""
        if self._release is not None:
            self._release()
