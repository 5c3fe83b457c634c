"""What each kind of action does to the world."""

from __future__ import annotations

import random
from collections.abc import Callable

from sink.kafka.log import Committed
from tests.model.line import Effect
from tests.model.material import Fault, Told
from tests.model.member import Member
from tests.model.schedule import Action, Kind
from tests.model.world import World

MOST_PARTITIONS = 4

_FAULTS: tuple[Fault, ...] = ("undecodable", "text", "untimed", "refused", "refused", "refused")
_EFFECTS: tuple[Effect, ...] = (
    "refused",
    "error",
    "error",
    "error",
    "error",
    "killed",
    "swallowed",
    "swallowed_at_commit",
    "swallowed_at_commit",
    "commit_lost_undone",
    "commit_lost_undone",
    "commit_lost_done",
    "commit_lost_done",
    "killed_before_commit",
    "killed_after_commit",
)
# deadlock, serialization, lock time-out, shutdown, disk full, too much at once (twice), and one that has no rule
_SQLSTATES = ("40P01", "40001", "55P03", "57P01", "53100", "53400", "57014", "XX000")


def play(world: World) -> None:
    """Do every action of the world's schedule."""
    for action in world.schedule.actions:
        # chance within an action hangs on it alone, so that leaving others out changes it as little as possible
        world.dice = random.Random(f"{action}")
        world.time.lucky = world.dice.random() < 0.7
        world.happened[action.kind] += 1
        _DEEDS[action.kind](world, action)


def _produce(world: World, action: Action) -> None:
    dice, topic = world.dice, world.topic
    partition = world.partition(action.a)
    for _ in range(dice.randint(1, 4)):
        world.versions += 1
        told = Told(
            partition=partition,
            offset=topic.ends[partition],
            key=dice.randrange(world.schedule.keys),
            version=world.versions,
            seconds=dice.randrange(8),
            fault=dice.choice(_FAULTS) if dice.random() < 0.2 else "",
        )
        world.happened[f"message {told.fault}" if told.fault else "messages"] += 1
        topic.append(told, behind=dice.choice((0, 0, 0, 1, 2)))


def _step(world: World, action: Action) -> None:
    world.time.now += world.dice.choice((0.1, 0.5, 1.0, 2.0))
    world.step(world.member(action.a))


def _release(world: World, action: Action) -> None:
    world.release(world.member(action.a))


def _work(world: World, action: Action) -> None:
    member = world.member(action.a)
    for _ in range(5):
        world.time.now += 0.5
        world.step(member)
        world.release(member)


def _wait(world: World, action: Action) -> None:
    world.time.now += action.a % 8


def _give(world: World, action: Action) -> None:
    world.give(world.partition(action.a), action.b)


def _forget(world: World, action: Action) -> None:
    world.forget(world.member(action.a))


def _tell(world: World, action: Action) -> None:
    world.tell(world.member(action.a), world.dice.choice(("lost", "revoked")))


def _crash(world: World, action: Action) -> None:
    member = world.member(action.a)
    fate = action.b % 3
    if fate == 0:
        world.release(member)  # its last transaction was done, and nobody has heard of it
    elif fate == 1:
        _leave_ghost(world, member)
    world.bury(member)


def _stop(world: World, action: Action) -> None:
    member = world.member(action.a)

    def leave() -> None:
        member.pipeline.drain(world.time.now + 2)
        member.pipeline.revoked(sorted(member.consumer.positions))
        member.pipeline.close()

    world.alive(member, leave)
    _leave_ghost(world, member)
    world.bury(member)


def _leave_ghost(world: World, member: Member) -> None:
    """Have the server do a dead process's last task later."""
    release, flusher = member.writer.release, member.flusher
    member.fate.effect = None

    def haunt() -> None:
        release()
        flusher.close()

    world.ghosts.append(haunt)


def _ghost(world: World, action: Action) -> None:
    if world.ghosts:
        world.ghosts.pop(action.a % len(world.ghosts))()


def _start(world: World, action: Action) -> None:
    world.start()
    world.give(world.partition(action.a), action.b)


def _fate(world: World, action: Action) -> None:
    dice = world.dice
    effect = dice.choice(_EFFECTS)
    world.member(action.a).fate.arm(effect, after=dice.randrange(12), sqlstate=dice.choice(_SQLSTATES))
    if action.b % 2:
        _work(world, action)


def _rewind(world: World, action: Action) -> None:
    """Set the group's offset as an operator does, at rest or while a member reads; the partition may move at once."""
    partition = world.partition(action.a)
    offset = action.b % (world.topic.ends[partition] + 1)
    world.topic.commits[partition] = Committed(offset=offset, marked=False)
    if action.c % 3:
        world.reassign(partition, action.c)


def _grow(world: World, action: Action) -> None:
    if len(world.topic.told) < MOST_PARTITIONS:
        partition = world.topic.add_partition()
        if action.b % 3:
            world.give(partition, action.a)


def _snapshot(world: World, action: Action) -> None:
    del action
    world.snapshots.append(world.store.snapshot(world.topic.dataset))


def _failover(world: World, action: Action) -> None:
    """Another server takes over, which has not heard of everything that was acknowledged."""
    states = world.snapshots if world.snapshots and action.b % 4 else [None]
    world.fail_over(states[action.a % len(states)])


def _registry_away(world: World, action: Action) -> None:
    world.member(action.a).decoder.away = 1 + action.b % 3


def _poll_breaks(world: World, action: Action) -> None:
    world.member(action.a).consumer.broken = True


def _kafka_silent(world: World, action: Action) -> None:
    world.member(action.a).consumer.silent = 1 + action.b % 3


def _commit_lost(world: World, action: Action) -> None:
    world.member(action.a).consumer.deaf = True


def _starts_over(world: World, action: Action) -> None:
    world.member(action.a).consumer.overtaken = True


_DEEDS: dict[Kind, Callable[[World, Action], None]] = {
    "produce": _produce,
    "step": _step,
    "release": _release,
    "work": _work,
    "wait": _wait,
    "give": _give,
    "forget": _forget,
    "tell": _tell,
    "crash": _crash,
    "stop": _stop,
    "start": _start,
    "fate": _fate,
    "rewind": _rewind,
    "grow": _grow,
    "snapshot": _snapshot,
    "failover": _failover,
    "registry_away": _registry_away,
    "poll_breaks": _poll_breaks,
    "kafka_silent": _kafka_silent,
    "commit_lost": _commit_lost,
    "starts_over": _starts_over,
    "ghost": _ghost,
}
