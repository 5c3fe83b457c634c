"""How long a batch may fill while the database has nothing to do: the longer, the longer its flushes take."""

from __future__ import annotations

SHORTEST = 0.2
"""Of the longest wait: what a batch waits for others of its kind even where a flush takes no time."""
REST = 2.0
"""Seconds of filling for a second of flushing: at the most, batches that are not full keep the database half busy."""


class Cadence:
    """Follows the flushes of one dataset; ``longest`` is the setting ``batch.max_age``, in seconds."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self.wait = longest * SHORTEST
        """Seconds after which a batch that is not full is written."""

    def took(self, seconds: float) -> None:
        """Hear how long the last flush has taken."""
        self.wait = min(self._longest, max(self._longest * SHORTEST, seconds * REST))
