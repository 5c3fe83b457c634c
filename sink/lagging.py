"""How old the record is that stands at a position, as far as it is known. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    position: int
    since: float


class Lagging:
    """Remembers for each partition the record at its position; all times are Unix seconds.

    A record that has not been read yet, because it is still on its way or nothing more is taken in, has no age that
    anybody knows. What counts then is how long the position has stood still behind the log's end.
    """

    def __init__(self) -> None:
        self._standing: dict[int, _Standing] = {}

    def seconds(self, partition: int, *, position: int, end: int, recorded: float | None, now: float) -> float:
        """Give the lag of a partition; ``recorded`` is the record time at its position, None where nobody knows it."""
        if position >= end:
            self._standing.pop(partition, None)
            return 0.0
        known = self._standing.get(partition)
        if recorded is not None:
            known = _Standing(position=position, since=recorded)
        elif known is None or known.position != position:
            known = _Standing(position=position, since=now)
        self._standing[partition] = known
        return max(0.0, now - known.since)
