"""The partitions that the group has given us, and what each is waiting for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from sink.ledger import Claim


class State(Enum):
    """What a partition of ours is doing."""

    WAITING = "waiting"
    """Paused; to be claimed."""
    CLAIMING = "claiming"
    """Paused; its claim is on its way."""
    READING = "reading"
    HALTED = "halted"
    """Paused until somebody mends what its reason names."""


@dataclass(slots=True)
class Partition:
    """One partition of ours; offsets are -1 before its claim."""

    state: State = State.WAITING
    not_before: float = 0.0
    """When to claim it, on the monotonic clock."""
    claim: Claim | None = None
    next_offset: int = -1
    """What Kafka gives next; everything before it is collected or durable."""
    durable: int = -1
    """Everything before it is in the database."""
    topic_id: str | None = None
    """Which topic it was when it was claimed; another one under the same name has other messages."""
    fenced_by: Counter[str] = field(default_factory=Counter)
    reason: str = ""
    """Why it is halted."""

    def again(self, not_before: float) -> None:
        """Wait for a new claim."""
        self.state, self.not_before, self.claim = State.WAITING, not_before, None


class Assignment:
    """All partitions of ours by number."""

    def __init__(self) -> None:
        self._partitions: dict[int, Partition] = {}

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._partitions))

    def __len__(self) -> int:
        return len(self._partitions)

    def __getitem__(self, number: int) -> Partition:
        return self._partitions[number]

    def get(self, number: int) -> Partition | None:
        """Give a partition, or None where it is not ours."""
        return self._partitions.get(number)

    def add(self, numbers: Iterable[int], now: float) -> None:
        """Take partitions in, to be claimed at once."""
        for number in numbers:
            self._partitions[number] = Partition(not_before=now)

    def remove(self, numbers: Iterable[int]) -> None:
        """Let partitions go."""
        for number in numbers:
            self._partitions.pop(number, None)

    def in_state(self, state: State) -> list[int]:
        """List the partitions in a state."""
        return [number for number in self if self._partitions[number].state is state]

    def to_claim(self, now: float) -> list[int]:
        """List the partitions whose time to be claimed has come."""
        return [number for number in self.in_state(State.WAITING) if self._partitions[number].not_before <= now]

    def claim_again(self, numbers: Sequence[int], not_before: float) -> None:
        """Let these wait for new claims; a halted one stays halted."""
        for number in numbers:
            partition = self._partitions[number]
            if partition.state is not State.HALTED:
                partition.again(not_before)

    def reading_under(self, number: int, claim: Claim) -> Partition | None:
        """Give a partition if it is still read under this very claim."""
        partition = self._partitions.get(number)
        if partition is None or partition.claim is None or partition.claim.token != claim.token:
            return None
        return partition
