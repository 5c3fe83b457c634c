"""What a check makes of what brokers tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sink.inspection.check_kafka import AHEAD, judge
from sink.inspection.findings import Finding, State
from sink.kafka.facts import GroupFacts, KafkaFacts, TopicFacts

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
TOPIC = TopicFacts(
    name="market.trades", partitions=4, replicas=3, operations=frozenset({"READ", "DESCRIBE"}), newest=NOW
)
GROUP = GroupFacts(name="sink.trades", operations=frozenset({"READ"}))


def bad(topic: TopicFacts = TOPIC, group: GroupFacts = GROUP) -> list[Finding]:
    facts = KafkaFacts(cluster_id="c", brokers=3, topics=[topic], groups=[group])
    return [finding for finding in judge(facts, now=NOW) if finding.state is not State.OK]


def test_nothing_is_wrong_with_what_is_as_it_must_be() -> None:
    assert bad() == []
    assert bad(replace(TOPIC, operations=None), replace(GROUP, operations=None)) == []


@pytest.mark.parametrize(
    ("topic", "cure"),
    [
        (TopicFacts(name="market.trades"), "sink topics apply"),
        (TopicFacts(name="market.trades", denied=True), "READ and DESCRIBE on topic market.trades"),
        (replace(TOPIC, operations=frozenset({"DESCRIBE"})), "grant the sink's user READ on topic market.trades"),
        (replace(TOPIC, without_leader=(1, 3)), "bring their brokers back"),
    ],
)
def test_what_keeps_the_sink_from_reading_is_a_failure(topic: TopicFacts, cure: str) -> None:
    (finding,) = bad(topic)
    assert finding.state is State.FAILURE
    assert cure in finding.cure


@pytest.mark.parametrize(
    "topic",
    [
        replace(TOPIC, replicas=1),
        replace(TOPIC, config={"cleanup.policy": "compact,delete"}),
        replace(TOPIC, newest=NOW + AHEAD + timedelta(seconds=1)),
    ],
)
def test_what_should_not_stay_so_is_a_warning(topic: TopicFacts) -> None:
    (finding,) = bad(topic)
    assert finding.state is State.WARNING
    assert finding.cure


def test_a_group_that_we_may_not_read_is_a_failure() -> None:
    for group in (replace(GROUP, operations=frozenset({"DESCRIBE"})), GroupFacts(name="sink.trades", denied=True)):
        (finding,) = bad(group=group)
        assert (finding.state, finding.cure) == (State.FAILURE, "grant the sink's user READ on group sink.trades")
