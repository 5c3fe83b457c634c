"""The breaker: stops a dataset before a broken producer empties the topic into quarantine. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from sink.batch import BadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """How much may be bad: a share of a window of messages, and a run of messages of one writer schema."""

    share: float = 0.5
    window: int = 1000
    run: int = 100


class Breaker:
    """Counts bad messages in a sliding window, and per writer schema those in a row."""

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._recent: deque[tuple[int, int]] = deque()
        self._seen = 0
        self._bad = 0
        self._runs: Counter[str] = Counter()

    def observe(self, messages: int, bad: Sequence[BadRow], good_schemas: frozenset[str]) -> str | None:
        """Count one poll's messages; give the sentence that says why to stop, or None."""
        for schema in good_schemas:
            del self._runs[schema]
        self._runs.update(
            row.schema_id for row in bad if row.schema_id is not None and row.schema_id not in good_schemas
        )
        self._recent.append((messages, len(bad)))
        self._seen += messages
        self._bad += len(bad)
        while self._seen - self._recent[0][0] >= self._limits.window:
            oldest = self._recent.popleft()
            self._seen -= oldest[0]
            self._bad -= oldest[1]
        return self._verdict(bad)

    def _verdict(self, bad: Sequence[BadRow]) -> str | None:
        limits = self._limits
        reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(row.reason for row in bad).most_common(3))
        for schema, run in self._runs.items():
            if run >= limits.run:
                return f"{run} messages in a row of writer schema {schema} cannot become rows ({reasons})"
        if self._bad > limits.share * max(self._seen, limits.window):
            return f"{self._bad} of the last {self._seen} messages cannot become rows ({reasons})"
        return None
