"""What is to be simulated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sink.datasets import DATASETS
from sink.errors import ConfigError

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The ids of one minute's trades have room for this many, so that ids rise over minutes and never meet.
MOST_TRADES_A_MINUTE = 100_000_000
_LONGEST_SYMBOL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A stretch of simulated market: the same plan always gives the same payloads, in the same order.

    ``start`` is aware and at a full minute, ``duration`` whole minutes. ``trades`` is the exact number over all symbols
    and minutes (None: 60 a minute and symbol). ``open_updates`` is how many unfinished versions of a candle come
    before the final one; ``funding_interval`` and ``interest_interval`` count from 1970, as exchanges do.
    Raises ConfigError where an argument makes no sense.
    """

    start: datetime
    duration: timedelta
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    seed: int = 7
    trades: int | None = None
    datasets: frozenset[str] = frozenset(DATASETS)
    open_updates: int = 0
    interest_interval: timedelta = timedelta(minutes=5)
    funding_interval: timedelta = timedelta(hours=8)

    def __post_init__(self) -> None:
        if self.duration < MINUTE or self.duration % MINUTE:
            raise ConfigError(f"a simulation lasts whole minutes, not {self.duration}")
        if self.start.tzinfo is None or (self.start - EPOCH) % MINUTE:
            raise ConfigError(f"the simulation cannot start at {self.start.isoformat()}; give a full minute and a zone")
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise ConfigError("give at least one symbol, and each only once")
        if any(not 1 <= len(symbol) <= _LONGEST_SYMBOL or not symbol.isprintable() for symbol in self.symbols):
            raise ConfigError(f"a symbol has 1 to {_LONGEST_SYMBOL} printable characters")
        unknown = self.datasets - DATASETS.keys()
        if unknown or not self.datasets:
            raise ConfigError(
                f"there is no dataset {', '.join(sorted(unknown)) or '(none)'}; choose of {', '.join(DATASETS)}"
            )
        if not 0 <= self.total_trades <= MOST_TRADES_A_MINUTE // 2 * self.cells:
            raise ConfigError(f"{self.total_trades} trades do not fit into {self.cells} minutes of market")
        if not 0 <= self.open_updates < MINUTE.seconds:
            raise ConfigError(
                f"a candle is updated 0 to {MINUTE.seconds - 1} times while open, not {self.open_updates}"
            )
        for interval in (self.interest_interval, self.funding_interval):
            if interval < MINUTE or interval % MINUTE:
                raise ConfigError(f"snapshots and fundings come every so many whole minutes, not every {interval}")

    @property
    def minutes(self) -> int:
        """How many minutes the market is open."""
        return self.duration // MINUTE

    @property
    def cells(self) -> int:
        """How many one-minute candles there are, over all symbols."""
        return self.minutes * len(self.symbols)

    @property
    def total_trades(self) -> int:
        """How many trades there are, over all symbols."""
        return 60 * self.cells if self.trades is None else self.trades
