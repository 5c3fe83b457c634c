"""What a pipeline has done since it started, counted flush by flush."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sink.flush import Flushed


@dataclass(slots=True)
class Totals:
    """What this pipeline has done since it started."""

    messages: int = 0
    rows_written: int = 0
    rows_not_newer: int = 0
    rows_deduplicated: int = 0
    ignored: int = 0
    late: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    flushes: int = 0
    fenced: int = 0

    def add(self, flushed: Flushed) -> None:
        """Count a flush."""
        self.flushes += 1
        self.quarantined.update(flushed.reasons)
        for entry in flushed.entries:
            self.messages += entry.messages
            self.rows_written += entry.rows_written
            self.rows_not_newer += entry.rows_not_newer
            self.rows_deduplicated += entry.rows_deduplicated
            self.ignored += entry.ignored
            self.late += entry.late
