"""The faults, by name: each breaks something while the load goes on, mends it, and says in a sentence what it did."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from tests.chaos.proxy import Fate
from tests.chaos.world import MAX_POLL, PATIENCE, SESSION, World
from tests.crash.steps import CLAIM, FLUSH
from tests.crash.victim import Strike

Fault = Callable[[World, random.Random], str]
REPLICAS = 2
"""How many run between faults."""
STEP_SECONDS = 20.0
"""Seconds within which a replica must have come to the step at which it is struck."""
FATE_SECONDS = 60.0
"""Seconds within which so many flushes must have reached their COMMIT."""
RARE = frozenset({"flush: copied", "flush: fast path missed"})
"""Steps that the load does not bring about within seconds: most flushes hold updates or bad rows."""


def killed(world: World, dice: random.Random) -> str:
    """SIGKILL."""
    child = world.replicas.any(dice)
    world.replicas.kill(child)
    time.sleep(dice.uniform(0, SESSION))
    world.staff(REPLICAS)
    return f"replica {child.pid} killed, another started"


def killed_at_a_step(world: World, dice: random.Random) -> str:
    """SIGKILL at a named step of claim or flush."""
    step = dice.choice(sorted((CLAIM.keys() | FLUSH.keys()) - RARE))
    nth = 1 if step in CLAIM else dice.randint(1, 5)
    child = world.replicas.start(Strike(step=step, nth=nth, signal=signal.SIGKILL))
    met = world.replicas.struck(child, seconds=STEP_SECONDS)
    return f"replica {child.pid} {'killed' if met else 'not killed'} at '{step}', time {nth}"


def frozen(world: World, dice: random.Random) -> str:
    """SIGSTOP for longer than max.poll.interval, then SIGCONT."""
    child = world.replicas.any(dice)
    child.signal(signal.SIGSTOP)
    pause = MAX_POLL + dice.uniform(0.5, 1.5)
    time.sleep(pause)
    child.signal(signal.SIGCONT)
    return f"replica {child.pid} frozen for {pause:.1f} s"


def _frozen_at(step: str, nth: int, world: World, dice: random.Random) -> str:
    child = world.replicas.start(Strike(step=step, nth=nth, signal=signal.SIGSTOP))
    met = world.replicas.struck(child, seconds=STEP_SECONDS)
    # long enough for the group to give its partitions away and for the next owner to lose patience
    pause = SESSION + PATIENCE + dice.uniform(1, 3)
    if met:
        time.sleep(pause)
    child.signal(signal.SIGCONT)
    return f"replica {child.pid} {f'frozen for {pause:.1f} s' if met else 'not frozen'} at '{step}', time {nth}"


def frozen_in_a_transaction(world: World, dice: random.Random) -> str:
    """SIGSTOP between two statements, with the positions locked."""
    return _frozen_at("flush: locked", dice.randint(1, 5), world, dice)


def frozen_in_a_copy(world: World, dice: random.Random) -> str:
    """SIGSTOP in the middle of a COPY, where no time-out of the server's helps."""
    return _frozen_at("flush: half copied", dice.randint(1, 5), world, dice)


def frozen_in_a_claim(world: World, dice: random.Random) -> str:
    """SIGSTOP before, in or after a claim: it is a late one, or acted on late, when the process wakes up."""
    step = dice.choice(("claim: before it begins", "claim: row locked", "claim: durable"))
    return _frozen_at(step, 1, world, dice)


def rolling_restart(world: World, dice: random.Random) -> str:
    """SIGTERM to one replica after the other, each replaced, as a deployment does it."""
    before = len(world.replicas)
    for _ in range(before):
        oldest = world.replicas.oldest()
        world.replicas.start()
        time.sleep(dice.uniform(0.3, 1))
        world.replicas.stop(oldest)
    return f"{before} replicas replaced one by one"


def rebalance_storm(world: World, dice: random.Random) -> str:
    """Replicas that come and go faster than the group settles."""
    for _ in range(4):
        child = world.replicas.start()
        time.sleep(dice.uniform(0.1, 1.0))
        if dice.random() < 0.5:
            world.replicas.kill(child)
        else:
            world.replicas.stop(child)
    return "4 replicas came and went"


def answers_to_commit_lost(world: World, dice: random.Random) -> str:
    """Let the database commit and the sink not learn it."""
    return _fates(world, [Fate.ANSWER_LOST] * dice.randint(2, 4))


def commits_lost(world: World, dice: random.Random) -> str:
    """Let the COMMIT not arrive; the sink cannot know."""
    return _fates(world, [Fate.REQUEST_LOST] * dice.randint(2, 4))


def _fates(world: World, fates: list[Fate]) -> str:
    before, deadline = world.proxy.met, time.monotonic() + FATE_SECONDS
    world.proxy.give(fates)
    while world.proxy.met < before + len(fates) and time.monotonic() < deadline:
        time.sleep(0.05)
    return f"{world.proxy.met - before} times: {fates[0].value}"


def connections_cut(world: World, dice: random.Random) -> str:
    """Every connection to the database breaks, again and again."""
    times = dice.randint(2, 6)
    for _ in range(times):
        world.proxy.cut()
        time.sleep(dice.uniform(0.1, 0.7))
    return f"all connections to the database cut, {times} times"


def network_slow(world: World, dice: random.Random) -> str:
    """Every packet to and from the database takes its time."""
    delay = dice.uniform(0.02, 0.2)
    world.proxy.slow(delay)
    time.sleep(4)
    world.proxy.heal()
    return f"packets to and from the database {delay * 1000:.0f} ms late for 4 s"


def black_hole(world: World, dice: random.Random) -> str:
    """Nothing gets through to the database and nothing is closed; afterwards everything that was held arrives."""
    pause = dice.uniform(2, 6)
    world.proxy.swallow()
    time.sleep(pause)
    world.proxy.heal()
    return f"the database a black hole for {pause:.1f} s, then all packets late"


def black_hole_then_cut(world: World, dice: random.Random) -> str:
    """Nothing gets through to the database, and what was held is lost."""
    pause = dice.uniform(2, 6)
    world.proxy.swallow()
    time.sleep(pause)
    world.proxy.cut()
    world.proxy.heal()
    return f"the database a black hole for {pause:.1f} s, then all connections lost"


def database_crash(world: World, dice: random.Random) -> str:
    """End the database as in a crash (`-m immediate`), and let it recover."""
    world.stack.database.stop("immediate")
    time.sleep(dice.uniform(0, 2))
    world.stack.database.start()
    return "the database crashed and recovered"


def database_restart(world: World, dice: random.Random) -> str:
    """Restart the database in the orderly way."""
    world.stack.database.stop()
    time.sleep(dice.uniform(0, 2))
    world.stack.database.start()
    return "the database restarted"


def broker_killed(world: World, dice: random.Random) -> str:
    """Kill the broker and start it again."""
    world.stack.broker.kill()
    time.sleep(dice.uniform(0, 2))
    world.stack.broker.start()
    return "the broker killed and started again"


def broker_restart(world: World, dice: random.Random) -> str:
    """Restart the broker in the orderly way."""
    del dice
    world.stack.broker.stop()
    world.stack.broker.start()
    return "the broker restarted"


def broker_frozen(world: World, dice: random.Random) -> str:
    """Let the broker stand still, connected to everybody."""
    pause = dice.uniform(2, 5)
    world.stack.broker.kill(signal.SIGSTOP)
    time.sleep(pause)
    world.stack.broker.kill(signal.SIGCONT)
    return f"the broker frozen for {pause:.1f} s"


def registry_away(world: World, dice: random.Random) -> str:
    """Kill the registry; a replica that starts meanwhile knows no schema."""
    world.stack.registry.kill()
    world.replicas.kill(world.replicas.any(dice))
    world.staff(REPLICAS)
    time.sleep(dice.uniform(1, 3))
    world.stack.registry.start()
    return "the registry away while a replica started"


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        killed,
        killed_at_a_step,
        frozen,
        frozen_in_a_transaction,
        frozen_in_a_copy,
        frozen_in_a_claim,
        rolling_restart,
        rebalance_storm,
        answers_to_commit_lost,
        commits_lost,
        connections_cut,
        network_slow,
        black_hole,
        black_hole_then_cut,
        database_crash,
        database_restart,
        broker_killed,
        broker_restart,
        broker_frozen,
        registry_away,
    )
}
