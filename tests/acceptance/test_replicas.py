"""Two replicas share the partitions; one leaving hands its own over, and everything arrives exactly once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from sink.db.payloads import TradePayload
from sink.producing.simulator import Plan, simulate
from tests.fix_sink import PARTITIONS, Market

PLAN = Plan(
    start=datetime(2026, 6, 2, tzinfo=UTC),
    duration=timedelta(hours=20),
    symbols=tuple(f"S{number}" for number in range(12)),
    datasets=frozenset({"trades"}),
)
PROTOCOLS = {
    # a session far longer than the test waits: only a member that says goodbye is replaced in time
    "classic": {"SINK_KAFKA__SESSION_TIMEOUT_MS": "120000"},
    # here the broker decides how long a session lasts
    "consumer": {"SINK_KAFKA__GROUP_PROTOCOL": "consumer"},
}


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
        """Send nothing more; everything sent is in Kafka afterwards."""
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with self._market.producer() as producer:
            for payload in simulate(PLAN):
                assert isinstance(payload, TradePayload)
                producer.produce(payload)
                self.sent.append(payload)
                if len(self.sent) % 20 == 0 and self._stop.wait(0.04):
                    return


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_leaving_replica_hands_over_while_messages_come(protocol: str, market: Market) -> None:
    variables = PROTOCOLS[protocol]
    feed = Feed(market)

    def owners() -> set[int]:
        return set(market.owners().values())

    def writers() -> set[int]:
        return {int(one.rpartition("/")[2]) for (one,) in market.rows("SELECT DISTINCT owner FROM sink.flushes")}

    with market.start("run", "trades", **variables) as first, market.start("run", "trades", **variables) as second:
        with feed.running():
            second.until(lambda: owners() == {first.pid, second.pid}, "both replicas own partitions")
            assert len(market.owners()) == PARTITIONS
            second.until(lambda: writers() == {first.pid, second.pid}, "both replicas have written")
            first.signal(signal.SIGTERM)
            assert first.end() == 0, first.output
            second.until(lambda: owners() == {second.pid}, "the other replica owns everything")
            behind = len(feed.sent)
            second.until(lambda: len(feed.sent) > behind + 200, "some more is produced")
        second.until(lambda: market.durable() == len(feed.sent), "everything is durable")
        second.signal(signal.SIGTERM)
        assert second.end() == 0, second.output

    expected = sorted(
        (one.symbol, one.trade_ts, one.trade_id, one.price, one.quantity, one.is_buyer_maker, one.side)
        for one in feed.sent
    )
    assert market.contract("trades") == expected
    market.check_ledger(messages=len(feed.sent))
    assert market.rows("SELECT sum(rows_written), sum(quarantined) FROM sink.flushes") == [(len(expected), 0)]
    assert writers() == {first.pid, second.pid}
