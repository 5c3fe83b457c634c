"""Finds out what Kafka says of a partition before it is claimed: log start, commit, identity, initial offset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sink.kafka.log import AskedLog
from sink.ledger import Start

Initial = Literal["earliest", "latest", "committed"]


def look(log: AskedLog, partitions: Sequence[int], initial: Initial) -> dict[int, Start]:
    """Ask Kafka about these partitions; raises TransientError where it does not answer in time."""
    topic_id = log.identity().topic_id
    committed = log.committed(partitions)
    initial_starts = _initial(log, initial)
    starts: dict[int, Start] = {}
    for partition in partitions:
        commit = committed.get(partition)
        starts[partition] = Start(
            partition=partition,
            log_start=log.log_range(partition)[0],
            initial=initial_starts,
            committed=commit.offset if commit else None,
            marked=commit.marked if commit else False,
            topic_id=topic_id,
        )
    return starts


def _initial(log: AskedLog, initial: Initial) -> dict[int, int]:
    """Say where every partition of a topic begins that the database has never seen; empty for the log's start."""
    if initial == "earliest":
        return {}
    everyone = log.partitions()
    ranges = {partition: log.log_range(partition) for partition in everyone}
    if initial == "latest":
        return {partition: end for partition, (_, end) in ranges.items()}
    committed = log.committed(everyone)
    return {
        partition: committed[partition].offset if partition in committed else start
        for partition, (start, _) in ranges.items()
    }
