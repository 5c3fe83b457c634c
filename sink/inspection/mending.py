"""Writes stretches of offsets as the commands that read them again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sink.inspection.intervals import Interval, clipped, joined

GAP = 1_000
"""Offsets between two stretches that are rather read again than told apart."""
MOST_COMMANDS = 4


def stretches(again: Mapping[int, Sequence[Interval]], logs: Mapping[int, Interval]) -> dict[int, list[Interval]]:
    """Join what lies near each other, as far as Kafka's log still has it."""
    near = {number: clipped(joined(intervals, gap=GAP), logs[number]) for number, intervals in sorted(again.items())}
    return {number: intervals for number, intervals in near.items() if intervals}


def replays(dataset: str, again: Mapping[int, Sequence[Interval]], *, further: str = "") -> list[str]:
    """Give the commands that read all stretches again, at most four; of more, one that reads all between as well.

    A replay takes one stretch of each partition, and writes nothing that is right already. ``further`` are words at
    the end of each command.
    """
    most = max((len(intervals) for intervals in again.values()), default=0)
    if most > MOST_COMMANDS:
        again = {number: [(intervals[0][0], intervals[-1][1])] for number, intervals in again.items()}
        most = 1
    commands = []
    for index in range(most):
        held = {number: intervals[index] for number, intervals in again.items() if index < len(intervals)}
        start = ",".join(f"{number}:{bounds[0]}" for number, bounds in held.items())
        end = ",".join(f"{number}:{bounds[1]}" for number, bounds in held.items())
        commands.append(f"sink replay {dataset} --from {start} --to {end}{further}")
    return commands
