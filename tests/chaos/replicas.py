"""The replicas of one sink: processes that join, leave, freeze and die, and what they said meanwhile."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Mapping

from sink.stack.processes import wait_until
from tests.chaos.messages import DATASET
from tests.children import Child, Nursery
from tests.crash.victim import Strike

STOP = 30.0
"""Seconds within which a replica must have ended after SIGTERM."""
EVENTS = {
    "partitions assigned": "assigned",
    "partitions revoked": "revoked",
    "partitions lost": "lost",
    "fenced": "fenced",
    "position moved by somebody else; claimed again": "moved",
    "waiting; nothing is lost": "waited",
    "ended a stuck owner's connection": "ended a stuck owner",
    "halving the batch": "halved",
    "struck": "struck",
}
"""What replicas log that shows a fault was met, and how the report calls it."""


class Replicas:
    """All replicas that run, and those that did."""

    def __init__(self, nursery: Nursery, environment: Mapping[str, str]) -> None:
        self._nursery = nursery
        self._environment = environment
        self._running: list[Child] = []
        self._told: Counter[str] = Counter()
        self._complaints: list[str] = []

    def __len__(self) -> int:
        return len(self._running)

    @property
    def complaints(self) -> list[str]:
        """What went wrong: replicas that ended by themselves, and errors that were logged."""
        for child in list(self._running):
            if (code := child.ended) is not None:
                self._complaints.append(f"replica {child.pid} ended by itself with {code}: {child.output[-600:]}")
                self._retire(child)
        return [*self._complaints, *(sentence for child in self._running for sentence in _errors(child))]

    @property
    def told(self) -> Counter[str]:
        """Count what replicas have told of the faults."""
        return sum((_told(child) for child in self._running), self._told.copy())

    def start(self, strike: Strike | None = None) -> Child:
        """Start one more."""
        child = self._nursery.start("run", DATASET, environment=self._environment, strike=strike)
        self._running.append(child)
        return child

    def any(self, dice: random.Random) -> Child:
        """Choose one."""
        return dice.choice(self._running)

    def oldest(self) -> Child:
        """Choose the one that has run longest."""
        return self._running[0]

    def kill(self, child: Child) -> None:
        """End one as a power cut would."""
        child.kill()
        self._retire(child)

    def stop(self, child: Child) -> None:
        """End one in the orderly way, in which it must succeed."""
        child.signal(signal.SIGTERM)
        try:
            code = child.end(STOP)
        except TimeoutError as error:
            self._complaints.append(str(error))
            child.kill()
        else:
            # one that had not begun yet ends as any process does
            if code and (code != -signal.SIGTERM or child.output):
                self._complaints.append(f"replica {child.pid} ended with {code} on SIGTERM: {child.output[-600:]}")
        self._retire(child)

    def stop_all(self) -> None:
        """End all that run."""
        for child in list(self._running):
            self.stop(child)

    def struck(self, child: Child, *, seconds: float) -> bool:
        """Wait until one was struck by SIGKILL or SIGSTOP at its step; say whether it was.

        One that was not is killed: it would be struck later, when nobody expects it.
        """
        met = wait_until(lambda: child.stopped or child.ended is not None, seconds=seconds)
        if not met:
            child.kill()
        if child.ended is not None:
            if child.ended != -signal.SIGKILL:
                self._complaints.append(f"replica {child.pid} ended with {child.ended}: {child.output[-600:]}")
            self._retire(child)
        return met

    def last_words(self) -> str:
        """Give the end of what each has said."""
        return "\n".join(f"--- replica {child.pid}\n{child.output[-1500:]}" for child in self._running)

    def _retire(self, child: Child) -> None:
        self._told += _told(child)
        self._complaints += _errors(child)
        self._running.remove(child)


def _told(child: Child) -> Counter[str]:
    return Counter(EVENTS[record["event"]] for record in child.records() if record["event"] in EVENTS)


def _errors(child: Child) -> list[str]:
    return [
        f"replica {child.pid}: {record}" for record in child.records() if record["level"] not in {"info", "warning"}
    ]
