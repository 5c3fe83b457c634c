"""The breaker: stops a dataset before a broken producer empties the topic into quarantine. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sink.batch import BadRow

MOST_RUNS = 1_000
"""Writer schemas whose runs are remembered: headers of random bytes must not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """How much may be bad: a share of a window of messages, and a run of messages of one writer schema."""

    share: float = 0.5
    window: int = 1000
    run: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """What the breaker has counted; ``why`` is the sentence for which it is open, None while it is closed.

    ``bad`` of the last ``seen`` messages, a ``share`` of the window, cannot become rows. ``schema`` is the writer
    schema with the longest ``run`` of bad messages now, None where every schema's last message was good.
    """

    seen: int
    bad: int
    share: float
    limit: float
    """The share at which it opens."""
    schema: str | None
    run: int
    why: str | None

    @property
    def is_open(self) -> bool:
        """Whether it has stopped the dataset; it stays open until the sink is started again."""
        return self.why is not None

    def __str__(self) -> str:
        return f"open: {self.why}" if self.why else f"closed: {self.bad} of the last {self.seen} messages bad"


class _Window:
    """A sliding window of messages and of the reasons why some were bad, by the polls or flushes that they came in."""

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._entries: deque[tuple[int, Counter[str]]] = deque()
        self.seen = 0
        self.bad = 0

    def add(self, messages: int, reasons: Counter[str]) -> None:
        self._entries.append((messages, reasons))
        self.seen += messages
        self.bad += reasons.total()
        while self.seen - self._entries[0][0] >= self._limits.window:
            count, left = self._entries.popleft()
            self.seen -= count
            self.bad -= left.total()

    @property
    def share(self) -> float:
        """Of the whole window: the first message of all being bad is no reason to stop."""
        return self.bad / max(self.seen, self._limits.window)

    def reasons(self) -> str:
        return _listed(sum((reasons for _, reasons in self._entries), Counter()))


class Breaker:
    """Counts bad messages in a sliding window, and per writer schema those in a row.

    Decoding is judged before anything is quarantined. What only validation or the database find is judged by the flush
    that has quarantined it, in a window of its own.
    """

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits = limits
        self._decoded = _Window(limits)
        self._flushed = _Window(limits)
        self._runs: Counter[str] = Counter()
        self._why: str | None = None

    def observe(self, messages: int, bad: Sequence[BadRow], good_schemas: frozenset[str]) -> str | None:
        """Count one poll's decoded messages; give the sentence that says why to stop, or None."""
        for schema in good_schemas:
            del self._runs[schema]
        self._runs.update(
            row.schema_id for row in bad if row.schema_id is not None and row.schema_id not in good_schemas
        )
        if len(self._runs) > MOST_RUNS:
            self._runs = Counter(dict(self._runs.most_common(MOST_RUNS // 2)))
        reasons = Counter(row.reason for row in bad)
        self._decoded.add(messages, reasons)
        limits = self._limits
        worst, run = self._longest_run()
        if run >= limits.run:
            self._why = (
                f"{run} messages in a row of writer schema {worst} cannot become rows ({_listed(reasons)});"
                f" {limits.run} in a row are too many"
            )
            return self._why
        return self._judge(self._decoded)

    def observe_flush(self, messages: int, reasons: Mapping[str, int]) -> str | None:
        """Count one flush's messages and those that it quarantined, by reason; give the sentence or None."""
        self._flushed.add(messages, Counter(reasons))
        return self._judge(self._flushed)

    def state(self) -> BreakerState:
        """Say what is counted now; of the two windows, the worse one."""
        window = max(self._decoded, self._flushed, key=lambda one: one.share)
        schema, run = self._longest_run()
        return BreakerState(
            seen=window.seen,
            bad=window.bad,
            share=window.share,
            limit=self._limits.share,
            schema=schema,
            run=run,
            why=self._why,
        )

    def _longest_run(self) -> tuple[str | None, int]:
        return next(iter(self._runs.most_common(1)), (None, 0))

    def _judge(self, window: _Window) -> str | None:
        limits = self._limits
        if window.share <= limits.share:
            return None
        why = self._why = (
            f"{window.bad} of the last {window.seen} messages cannot become rows ({window.reasons()});"
            f" more than {limits.share:g} of {max(window.seen, limits.window)} is too much"
        )
        return why


def _listed(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(3))
