"""Topic, group, members and database of one schedule: how members come, go, are told, and are healed at the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from sink.cadence import SHORTEST
from sink.datasets import DATASETS
from sink.errors import OversizeError
from sink.pipeline import Options
from tests.model.clock import Time
from tests.model.line import Killed
from tests.model.log import Event, Topic
from tests.model.member import Member, Parts
from tests.model.schedule import Schedule
from tests.model.store import Snapshot, Store

MOST_MEMBERS = 3
ROUNDS = 90
"""In so many rounds of a second each, healed members must have caught up; the longest wait is 30 s."""
CALM = 3
"""So many further rounds they must stay caught up."""


class NeverFinished(Exception):
    """Everything was healed, and the members did not catch up."""


class World:
    """One schedule's sink. What the group has decided may reach a member late or never, as in life."""

    def __init__(self, schedule: Schedule, store: Store, parts: Parts) -> None:
        self.happened: Counter[str] = Counter()
        self.topic = Topic(name="market.proof", dataset=DATASETS[schedule.dataset], lenient=schedule.lenient)
        self.schedule = schedule
        self.store = store
        self.time = Time()
        self.dice = random.Random(schedule.seed)
        self.versions = 0
        self.snapshots: list[Snapshot] = []
        self.ghosts: list[Callable[[], None]] = []
        """Tasks of dead processes that their servers have yet to do."""
        self.unexpected: list[str] = []
        """Halts for which there was no reason."""
        self._parts = parts
        self._members: dict[int, Member] = {}
        self._made = 0
        self._moving: dict[int, object] = {}
        """Partitions whose owner has not yet heard that it must let go."""
        self._stood: dict[int, int] = {}
        """Each partition's position after the last COMMIT."""
        self._forgotten: set[int] = set()
        """Members that the group takes for dead, and that do not know."""
        store.empty(self.topic.dataset)
        store.lines.on_commit = self._watch
        for _ in range(schedule.partitions):
            self.topic.add_partition()
        self.topic.original = schedule.partitions
        for _ in range(schedule.members):
            self.start()
        for partition in self.topic.told:
            self.give(partition, partition)

    @property
    def members(self) -> list[Member]:
        """Those that are alive."""
        return list(self._members.values())

    def member(self, choice: int) -> Member:
        """Choose a living member; where there is none, one starts."""
        if not self._members:
            self.start()
        return self.members[choice % len(self._members)]

    def partition(self, choice: int) -> int:
        """Choose a partition."""
        return choice % len(self.topic.told)

    # ---- what members do

    def start(self) -> None:
        """Start a member, unless there are enough."""
        if len(self._members) == MOST_MEMBERS:
            return
        self._made += 1
        self._members[self._made] = Member(
            self._made,
            topic=self.topic,
            lines=self.store.lines,
            time=self.time,
            options=Options(
                max_rows=self.schedule.max_rows,
                # flushes take no time here, so that this is what a batch waits
                max_age=self.schedule.max_age / SHORTEST,
                session_timeout=5,
                positions_every=2,
                revoke_deadline=2,
            ),
            parts=self._parts,
            seed=self.schedule.seed,
        )

    def step(self, member: Member) -> None:
        """Let a member do one round of its loop."""
        self.alive(member, member.pipeline.step)

    def release(self, member: Member) -> None:
        """Let a member's writer do its task."""
        self.alive(member, member.writer.release)

    def alive(self, member: Member, doing: Callable[[], None]) -> None:
        """Have a member do something; it may die or halt of it. A halted one is started anew by its operator."""
        if member.number not in self._members:
            return
        try:
            doing()
        except Killed:
            self.bury(member)
        failure = member.pipeline.failure
        if failure is not None:
            self.happened["halted"] += 1
            if not isinstance(failure, OversizeError):  # which a single row cannot be spared
                self.unexpected.append(f"member {member.number} halted: {failure}")
            self.bury(member)

    def bury(self, member: Member) -> None:
        """Take a dead member out; the group gives its partitions to others."""
        if self._members.pop(member.number, None) is None:
            return
        self.happened += member.fate.happened
        self.happened["fenced flushes and checks"] += member.pipeline.totals.fenced
        self.happened["flushes"] += member.pipeline.totals.flushes
        member.flusher.close()
        self._forgotten.discard(member.number)
        self._take_away(member)

    # ---- what the group does

    def give(self, partition: int, choice: int) -> None:
        """Move a partition in good order: its owner lets go at its next poll, then the next one hears of it."""
        candidates = [member for member in self.members if member.number not in self._forgotten]
        if not candidates:
            return
        heir = candidates[choice % len(candidates)]
        owner = self._members.get(self.topic.owners[partition] or 0)
        if owner is None:
            self._hand_over(partition, heir)
        elif owner is not heir and partition not in self._moving:
            ticket = self._moving[partition] = object()

            def let_go() -> None:
                if self._moving.get(partition) is ticket:
                    self._hand_over(partition, heir)

            self.happened["moved in good order"] += 1
            owner.consumer.tell("revoked", partition, let_go)

    def reassign(self, partition: int, choice: int) -> None:
        """Take a partition from whoever has it and give it out anew; its owner hears of it at its next poll."""
        owner = self._members.get(self.topic.owners[partition] or 0)
        if owner is not None:
            owner.consumer.tell("lost", partition)
        self.topic.owners[partition] = None
        self._moving.pop(partition, None)
        self.give(partition, choice)

    def forget(self, member: Member) -> None:
        """Have the group take a member for dead; the member goes on as a zombie until it is told."""
        if len(self._members) - len(self._forgotten) < 2 or member.number in self._forgotten:
            return
        self.happened["zombies"] += 1
        self._forgotten.add(member.number)
        self._take_away(member)

    def tell(self, member: Member, event: Event) -> None:
        """Let a member hear which partitions the group has taken away behind its back; it joins again."""
        for partition in member.consumer.expects:
            if self.topic.owners[partition] != member.number:
                member.consumer.tell(event, partition)
        self._forgotten.discard(member.number)

    def _take_away(self, member: Member) -> None:
        mine = [partition for partition, owner in self.topic.owners.items() if owner == member.number]
        for partition in mine:
            self.topic.owners[partition] = None
            self._moving.pop(partition, None)
            self.give(partition, self.dice.randrange(6))

    def _hand_over(self, partition: int, heir: Member) -> None:
        self._moving.pop(partition, None)
        if heir.number not in self._members or heir.number in self._forgotten:
            self.topic.owners[partition] = None
            return
        self.topic.owners[partition] = heir.number
        if partition in heir.consumer.expects:
            heir.consumer.tell("lost", partition)
        heir.consumer.tell("assigned", partition)

    def fail_over(self, snapshot: Snapshot | None) -> None:
        """Have another server take over, which knows an earlier state only."""
        self.store.restore(self.topic.dataset, snapshot)
        self._stood = self.store.positions()
        for member in self.members:
            if member.fate.effect is None:
                member.fate.arm("error", sqlstate="57P01")

    # ---- the end

    def heal(self) -> None:
        """Mend everything and let the members catch up; raises NeverFinished."""
        self.time.lucky = True
        self.ghosts.clear()
        for member in self.members:
            member.mend()
            self.tell(member, "lost")
        calm = 0
        for _ in range(ROUNDS):
            self.time.now += 1.0
            for partition, owner in self.topic.owners.items():
                if owner is None:
                    self.member(0)
                    self.give(partition, partition)
            for member in self.members:
                self.step(member)
                self.release(member)
            calm = calm + 1 if self._caught_up() else 0
            if calm > CALM:
                return
        raise NeverFinished(f"positions {self.store.positions()}, the log ends at {self.topic.ends}")

    def close(self) -> None:
        """Let go of every connection."""
        for member in self.members:
            self.bury(member)

    def _caught_up(self) -> bool:
        return all(member.settled for member in self.members) and self.store.positions() == self.topic.ends

    def _watch(self) -> None:
        """Look after every COMMIT that nobody has written without holding the present claim."""
        for partition, position, claim, wrote in self.store.standings():
            moved = self._stood.get(partition, 0) != position
            if moved and claim != wrote:
                self.topic.trespasses.append(f"partition {partition} moved to {position} by claim {wrote}, not {claim}")
            self._stood[partition] = position
            self.topic.durable[partition] = max(self.topic.durable[partition], position)
