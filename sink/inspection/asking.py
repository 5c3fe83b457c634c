"""Asks a server again and again in a thread of its own, so that one that is silent holds nobody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sink.errors import SinkError, TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """What a server told, or why it told nothing."""

    value: T | None = None
    error: SinkError | None = None


@dataclass(slots=True)
class _Question(Generic[T]):
    begun: float
    done: threading.Event = field(default_factory=threading.Event)
    value: T | None = None
    error: BaseException | None = None


class Asked(Generic[T]):
    """One server. ``look`` asks it, and may raise the SinkError that says why it cannot.

    An answer that takes longer than ``patience`` seconds, as ``clock`` counts them, is a reason too; after ten times
    that, the question is given up and put again.
    """

    GIVEN_UP = 10

    def __init__(
        self, name: str, look: Callable[[], T], *, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._look, self._patience, self._clock = name, look, patience, clock
        self._open: _Question[T] | None = None
        self._last: Answer[T] = Answer()

    def begin(self) -> None:
        """Put the question, unless it is under way."""
        now = self._clock()
        if self._open is not None and now - self._open.begun < self.GIVEN_UP * self._patience:
            return
        question: _Question[T] = _Question(begun=now)
        self._open = question
        # a daemon: what hangs must not keep the command from ending
        threading.Thread(target=self._run, args=(question,), name=f"ask {self._name}", daemon=True).start()

    def answer(self, wait: float) -> Answer[T]:
        """Give the answer if it comes within ``wait`` seconds, else the last one as long as patience lasts."""
        if self._open is None:
            return self._last
        if self._open.done.wait(max(0.0, wait)):
            question, self._open = self._open, None
            if question.error is not None and not isinstance(question.error, SinkError):
                raise question.error
            self._last = Answer(value=question.value, error=question.error)
        elif (silent := self._clock() - self._open.begun) >= self._patience:
            self._last = Answer(error=TransientError(f"{self._name} has not answered for {silent:.0f} s"))
        return self._last

    def _run(self, question: _Question[T]) -> None:
        try:
            question.value = self._look()
        except BaseException as error:  # noqa: BLE001 (raised by the thread that asked)
            question.error = error
        question.done.set()
