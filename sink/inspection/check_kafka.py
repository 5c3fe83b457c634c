"""Judges what the brokers told: topics, what we may do, and whose clock runs ahead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sink.inspection.findings import Finding, Group
from sink.kafka.facts import GroupFacts, KafkaFacts, TopicFacts

AHEAD = timedelta(seconds=5)
"""By how much a record's time may be ahead of this host before it is told."""
_KAFKA = Group("kafka")
_TOPIC_NEEDS = frozenset({"READ", "DESCRIBE"})


def judge(facts: KafkaFacts, *, now: datetime) -> Iterator[Finding]:
    """Give the findings; ``now`` is this host's time."""
    yield _KAFKA.ok("brokers", f"{facts.brokers} in cluster {facts.cluster_id}")
    for topic in facts.topics:
        yield from _topic(topic, facts.brokers, now)
    for group in facts.groups:
        yield _group(group)


def _topic(topic: TopicFacts, brokers: int, now: datetime) -> Iterator[Finding]:
    subject = f"topic {topic.name}"
    if topic.denied:
        yield _KAFKA.failure(
            subject, "we may not see it", f"grant the sink's user READ and DESCRIBE on topic {topic.name}"
        )
        return
    if topic.error is not None:
        yield _KAFKA.failure(subject, topic.error, "look at the broker's log")
        return
    if topic.partitions is None:
        yield _KAFKA.failure(subject, "it does not exist", "create it with: sink topics apply")
        return
    if topic.operations is not None and (lacking := sorted(_TOPIC_NEEDS - topic.operations)):
        yield _KAFKA.failure(
            subject,
            f"we may not {' and '.join(lacking)}",
            f"grant the sink's user {' and '.join(lacking)} on topic {topic.name}",
        )
    else:
        yield _KAFKA.ok(subject, f"{topic.partitions} partitions, {topic.replicas} replicas")
    yield from _weak(topic, subject, brokers)
    if topic.newest is not None and topic.newest - now > AHEAD:
        ahead = (topic.newest - now).total_seconds()
        yield _KAFKA.warning(
            subject,
            f"its newest record is {ahead:.0f} s ahead of this host's clock",
            "synchronise the clocks of producers, brokers and this host (NTP): the later version of a row wins",
        )


def _weak(topic: TopicFacts, subject: str, brokers: int) -> Iterator[Finding]:
    if topic.without_leader:
        numbers = ", ".join(map(str, topic.without_leader))
        yield _KAFKA.failure(subject, f"partitions {numbers} have no leader", "bring their brokers back")
    if topic.replicas == 1 and brokers > 1:
        yield _KAFKA.warning(
            subject, "one replica: a lost disk loses messages", "raise it to 3 with kafka-reassign-partitions"
        )
    policy = (topic.config or {}).get("cleanup.policy", "delete")
    if "compact" in policy:
        yield _KAFKA.warning(
            subject,
            f"cleanup.policy={policy} drops all but the newest message of a symbol",
            f"kafka-configs --alter --topic {topic.name} --add-config cleanup.policy=delete",
        )


def _group(group: GroupFacts) -> Finding:
    subject = f"group {group.name}"
    if group.denied or (group.operations is not None and "READ" not in group.operations):
        return _KAFKA.failure(subject, "we may not READ it", f"grant the sink's user READ on group {group.name}")
    if group.operations is None:
        return _KAFKA.ok(subject, "new, or the broker does not say what we may do with it")
    return _KAFKA.ok(subject, "we may read it")
