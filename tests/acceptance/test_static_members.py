"""Static members, as the Helm chart's stateful sets are: a restart moves no partition, a crash is mended by itself."""

from __future__ import annotations

import signal

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # the stub forgets to re-export the last four
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.acceptance.test_replicas import PROTOCOLS
from tests.feed import Feed
from tests.fix_sink import Market, Process
from tests.patience import ANSWER


def owned(market: Market, process: Process) -> set[int]:
    return {partition for partition, owner in market.owners().items() if owner == process.pid}


def named(protocol: str, name: str) -> dict[str, str]:
    return {**PROTOCOLS[protocol], "SINK_LOG__FORMAT": "json", "SINK_KAFKA__GROUP_INSTANCE_ID": name}


def lengthen_session(market: Market) -> None:
    """Have the broker wait longer for members of the newer protocol than any restart takes here."""
    longer = ConfigEntry("consumer.session.timeout.ms", "60000", incremental_operation=AlterConfigOpType.SET)
    group = ConfigResource(ResourceType.GROUP, f"{market.group}.trades", incremental_configs=[longer])
    admin = AdminClient({"bootstrap.servers": market.servers.bootstrap_servers})
    for done in admin.incremental_alter_configs([group]).values():
        done.result(ANSWER)


def moves(process: Process) -> list[list[int]]:
    """Give the partitions that came or went, by its log."""
    told = ("partitions assigned", "partitions revoked", "partitions lost")
    return [one["partitions"] for one in process.records() if one["event"] in told and one["partitions"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_rolling_restart_moves_no_partition_of_the_others(protocol: str, market: Market) -> None:
    lengthen_session(market)
    feed = Feed(market)
    with market.start("run", "trades", **named(protocol, "sink-0")) as first:
        first.until(lambda: len(owned(market, first)) == 4, "the first replica owns everything")
        with market.start("run", "trades", **named(protocol, "sink-1")) as second, feed.running():
            second.until(lambda: [len(owned(market, one)) for one in (first, second)] == [2, 2], "they share")
            had, before = owned(market, first), moves(second)
            first.signal(signal.SIGTERM)
            assert first.end() == 0, first.output
            with market.start("run", "trades", **named(protocol, "sink-0")) as third:
                third.until(lambda: owned(market, third) == had, "it has its partitions back")
                sent = len(feed.sent)
                third.until(lambda: len(feed.sent) > sent + 100, "some more is produced")
                assert moves(second) == before
                feed.stop()
                third.until(lambda: market.durable() == len(feed.sent), "everything is durable")
    assert len(market.contract("trades")) == len(feed.sent)
    market.check_ledger(messages=len(feed.sent))


def test_who_replaces_a_crashed_member_joins_once_its_session_is_over(market: Market) -> None:
    """The newer protocol refuses a name whose last process has not left: fatal for librdkafka, not for the sink."""
    feed = Feed(market)
    with market.start("run", "trades", **named("consumer", "sink-0")) as first, feed.running():
        first.until(lambda: market.durable() > 0, "it writes")
        first.kill()
        with market.start("run", "trades", **named("consumer", "sink-0")) as second:
            second.until(lambda: len(owned(market, second)) == 4, "it owns everything")
            assert "had given up; a new one takes its place" in second.output
            feed.stop()
            second.until(lambda: market.durable() == len(feed.sent), "everything is durable")
    assert len(market.contract("trades")) == len(feed.sent)


def test_two_of_one_name_are_told_and_the_newer_one_goes_on(market: Market) -> None:
    with market.start("run", "trades", **named("classic", "sink-0")) as first:
        first.until(lambda: len(owned(market, first)) == 4, "it owns everything")
        with market.start("run", "trades", **named("classic", "sink-0")) as second:
            assert first.end() == 4, first.output
            assert "give each replica a name of its own" in first.output
            second.until(lambda: len(owned(market, second)) == 4, "the newer one owns everything")
            second.signal(signal.SIGTERM)
            assert second.end() == 0, second.output
