"""One trial: a schedule played on the real code, healed, and compared with the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from structlog.testing import capture_logs

from tests.model.deeds import play
from tests.model.member import Parts
from tests.model.oracle import differences
from tests.model.schedule import Schedule
from tests.model.store import Store
from tests.model.world import NeverFinished, World

Outcome = Literal["right", "wrong", "never finished", "broke"]

# What the sink says of itself, and what it is called in the table of what happened.
_SAID = {
    "fenced": "fences noticed by an owner",
    "halving the batch": "batches halved",
    "rewound by a commit from outside": "rewinds done",
    "position moved by somebody else; claimed again": "positions moved",
    "reading broke off; every partition is claimed again": "polls broken off",
    "waiting; nothing is lost": "back-offs",
    "partitions assigned": "partitions assigned",
    "partitions revoked": "partitions revoked",
    "partitions lost": "partitions lost",
    "the deadline cut the last flush short; its messages are read again": "last flushes cut short",
    "Kafka knows this sink, the database does not: it was lost or restored; reading starts anew": "database forgotten",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a trial ended: what differs (or why it broke), and what had happened in it."""

    outcome: Outcome
    differences: tuple[str, ...]
    happened: Counter[str]


def run(schedule: Schedule, store: Store, parts: Parts) -> Verdict:
    """Play a schedule and judge the tables that it leaves."""
    world = World(schedule, store, parts)
    with capture_logs() as said:
        outcome, differ = _played(world)
    world.happened.update(_SAID[line["event"]] for line in said if line["event"] in _SAID)
    return Verdict(outcome=outcome, differences=differ, happened=world.happened)


def _played(world: World) -> tuple[Outcome, tuple[str, ...]]:
    try:
        play(world)
        world.heal()
    except NeverFinished as error:
        return "never finished", (str(error), *world.unexpected)
    except Exception as error:  # noqa: BLE001 (nothing may leave the code under proof; what does is its finding)
        return "broke", (f"{type(error).__name__}: {error}",)
    finally:
        world.close()
    differ = differences(world.topic, world.store)
    if differ:
        return "wrong", tuple(differ)
    return ("broke", tuple(world.unexpected)) if world.unexpected else ("right", ())


def shrunk(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Leave out actions, many at once at first, as long as the rest still fails."""
    size = max(1, len(schedule.actions) // 2)
    while True:
        start, left_out = 0, False
        while start < len(schedule.actions):
            shorter = schedule.without(start, size)
            if fails(shorter):
                schedule, left_out = shorter, True
            else:
                start += size
        if size == 1 and not left_out:
            return schedule
        size = max(1, size // 2)
