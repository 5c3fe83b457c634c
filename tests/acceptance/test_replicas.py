"""Two replicas share the partitions; one leaving hands its own over, and everything arrives exactly once."""

from __future__ import annotations

import signal

import pytest

from tests.feed import Feed
from tests.fix_sink import PARTITIONS, Market

PROTOCOLS = {
    # a session far longer than the test waits: only a member that says goodbye is replaced in time
    "classic": {"SINK_KAFKA__SESSION_TIMEOUT_MS": "120000"},
    # here the broker decides how long a session lasts
    "consumer": {"SINK_KAFKA__GROUP_PROTOCOL": "consumer"},
}


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
            second.until(
                lambda: owners() == {first.pid, second.pid} and len(market.owners()) == PARTITIONS,
                "both replicas own partitions, and every partition has an owner",
            )
            second.until(lambda: writers() == {first.pid, second.pid}, "both replicas have written")
            first.signal(signal.SIGTERM)
            assert first.end() == 0, first.output
            second.until(lambda: owners() == {second.pid}, "the other replica owns everything")
            behind = len(feed.sent)
            second.until(lambda: len(feed.sent) > behind + 200, "some more is produced")
        second.until(lambda: market.durable() == len(feed.sent), "everything is durable")
        second.signal(signal.SIGTERM)
        assert second.end() == 0, second.output

    assert market.contract("trades") == feed.expected()
    market.check_ledger(messages=len(feed.sent))
    assert market.rows("SELECT sum(rows_written), sum(quarantined) FROM sink.flushes") == [(len(feed.sent), 0)]
    assert writers() == {first.pid, second.pid}
