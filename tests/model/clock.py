"""The clock of a schedule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Time:
    """Seconds that only the schedule lets pass, and its luck: whether a wait is long enough for the writer."""

    now: float = 0.0
    lucky: bool = True
