"""Trades that keep coming while a test does something to the sink."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sink.db.payloads import TradePayload
from sink.producing.simulator import Plan, simulate
from tests.fix_sink import Market, Row

PLAN = Plan(
    start=datetime(2026, 6, 2, tzinfo=UTC),
    duration=timedelta(hours=20),
    symbols=tuple(f"S{number}" for number in range(12)),
    datasets=frozenset({"trades"}),
)


class Feed:
    """Produces trades, some hundreds a second, until it is told to stop."""

    def __init__(self, market: Market) -> None:
        self.sent: list[TradePayload] = []
        self._market = market
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed")

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Produce no more; what was sent is delivered when this ends."""
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def expected(self) -> list[Row]:
        """Give what the contract columns of the table must be in the end, by key."""
        return sorted(
            (one.symbol, one.trade_ts, one.trade_id, one.price, one.quantity, one.is_buyer_maker, one.side)
            for one in self.sent
        )

    def _run(self) -> None:
        with self._market.producer() as producer:
            for payload in simulate(PLAN):
                assert isinstance(payload, TradePayload)
                producer.produce(payload)
                self.sent.append(payload)
                if len(self.sent) % 20 == 0 and self._stop.wait(0.04):
                    return
