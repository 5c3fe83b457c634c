"""Plays rounds of faults in a world; which ones, and how long each lasts, is the seed's choice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from tests.chaos.faults import FAULTS, REPLICAS
from tests.chaos.report import Round
from tests.chaos.world import World

PER_ROUND = 3
Say = Callable[[str], None]


def decks(dice: random.Random, names: Sequence[str]) -> Iterator[str]:
    """Give faults for ever: all of them, in an order of the dice's, before any comes again."""
    while True:
        deck = list(names)
        dice.shuffle(deck)
        yield from deck


def play_round(world: World, number: int, names: Sequence[str], dice: random.Random, say: Say) -> Round:
    """Break things one after the other under load, mend them, and compare everything."""
    began = time.monotonic()
    done: list[tuple[str, str]] = []
    delivered, given_up = world.load.delivered, world.load.given_up
    with world.load.running():
        for name in names:
            world.staff(REPLICAS)
            since = time.monotonic()
            did = FAULTS[name](world, dice)
            say(f"  {name}: {did} ({time.monotonic() - since:.0f} s)")
            done.append((name, did))
            time.sleep(dice.uniform(0.2, 1))
        world.heal()
    world.thin_out(REPLICAS + 1)
    world.staff(REPLICAS)
    findings, took = world.settle()
    delivered, given_up = world.load.delivered - delivered, world.load.given_up - given_up
    if given_up:
        say(f"  the load gave up {given_up} messages, and delivered {delivered}")
    idle = [] if delivered else ["the load delivered nothing: this round proves nothing"]
    return Round(
        number=number,
        faults=done,
        messages=world.truth.messages,
        rows=len(world.truth.rows),
        quarantined=len(world.truth.bad),
        caught_up=took,
        seconds=time.monotonic() - began,
        findings=findings,
        complaints=[*world.replicas.complaints, *idle],
    )
