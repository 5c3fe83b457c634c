"""Holding a stream to a rate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sink.producing.pacing import paced
from sink.producing.simulator import Plan, simulate


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_payload_never_comes_before_its_turn() -> None:
    plan = Plan(start=datetime(2024, 1, 1, tzinfo=UTC), duration=timedelta(minutes=1), trades=2000)
    clock = Clock()
    payloads = list(simulate(plan))
    times = [clock.now for _ in paced(payloads, per_second=1000, clock=clock.read, sleep=clock.sleep)]
    assert len(times) == len(payloads)
    early = [number / 1000 - (time - 100.0) for number, time in enumerate(times)]
    assert max(early) < 0.0101, "no more than the shortest wait"
    assert min(early) > -1e-6
