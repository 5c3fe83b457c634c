"""Commits that a group refuses are told again, as long as the partition is ours and no later one was taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from structlog.testing import capture_logs

from sink.kafka.commits import MARK, Commits

TOPIC = "market.trades"
REFUSAL = KafkaError(KafkaError.ILLEGAL_GENERATION)


class Client:
    """Takes commits as Kafka's client does, and remembers them."""

    def __init__(self) -> None:
        self.sent: list[dict[int, int]] = []
        self.points: list[TopicPartition] = []
        self.closed = False

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        if self.closed:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.points = offsets
        self.sent.append({point.partition: point.offset for point in offsets})

    @property
    def consumer(self) -> Consumer:
        return cast(Consumer, self)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def commits() -> Commits:
    return Commits(TOPIC)


def answer(commits: Commits, offsets: dict[int, int], error: KafkaError | None = None) -> None:
    commits.hear(error, [TopicPartition(TOPIC, number, offset) for number, offset in offsets.items()])


def test_a_commit_names_offset_epoch_and_whose_it_is(commits: Commits, client: Client) -> None:
    commits.send(client.consumer, {0: 10, 1: 20}, {1: 7})
    assert client.sent == [{0: 10, 1: 20}]
    assert [(one.topic, one.metadata, one.leader_epoch) for one in client.points] == [
        (TOPIC, MARK, None),
        (TOPIC, MARK, 7),
    ]


def test_what_was_taken_is_not_told_again(commits: Commits, client: Client) -> None:
    commits.send(client.consumer, {0: 10}, {})
    answer(commits, {0: 10})
    commits.again(client.consumer)
    assert client.sent == [{0: 10}]


def test_what_was_refused_is_told_again_until_it_is_taken(commits: Commits, client: Client) -> None:
    commits.send(client.consumer, {0: 10, 1: 20}, {})
    answer(commits, {0: 10, 1: 20}, REFUSAL)
    commits.again(client.consumer)
    answer(commits, {0: 10}, REFUSAL)
    answer(commits, {1: 20})
    commits.again(client.consumer)
    answer(commits, {0: 10})
    commits.again(client.consumer)
    assert client.sent == [{0: 10, 1: 20}, {0: 10, 1: 20}, {0: 10}]


def test_a_single_partition_may_be_refused(commits: Commits, client: Client) -> None:
    commits.send(client.consumer, {0: 10, 1: 20}, {})
    refused = SimpleNamespace(partition=1, offset=20, error=REFUSAL)  # a TopicPartition's error is only for reading
    commits.hear(None, [TopicPartition(TOPIC, 0, 10), cast(TopicPartition, refused)])
    commits.again(client.consumer)
    assert client.sent[1:] == [{1: 20}]


def test_the_newest_offset_is_told_again_and_a_later_commit_makes_good(commits: Commits, client: Client) -> None:
    commits.send(client.consumer, {0: 10}, {})
    commits.send(client.consumer, {0: 30}, {})
    answer(commits, {0: 10}, REFUSAL)
    commits.again(client.consumer)
    answer(commits, {0: 30})
    commits.again(client.consumer)
    assert client.sent == [{0: 10}, {0: 30}, {0: 30}]


def test_an_older_answer_does_not_make_good_for_a_newer_refusal(commits: Commits, client: Client) -> None:
    commits.send(client.consumer, {0: 10}, {})
    commits.send(client.consumer, {0: 30}, {})
    answer(commits, {0: 30}, REFUSAL)
    answer(commits, {0: 10})
    commits.again(client.consumer)
    assert client.sent[2:] == [{0: 30}]


def test_a_partition_that_went_to_another_member_is_its_business(commits: Commits, client: Client) -> None:
    commits.send(client.consumer, {0: 10, 1: 20}, {})
    answer(commits, {0: 10}, REFUSAL)
    commits.forget([0])
    answer(commits, {0: 10, 1: 20}, REFUSAL)
    commits.again(client.consumer)
    assert client.sent[1:] == [{1: 20}]


def test_a_client_that_cannot_send_is_asked_again(commits: Commits, client: Client) -> None:
    client.closed = True
    commits.send(client.consumer, {0: 10}, {})
    client.closed = False
    commits.again(client.consumer)
    assert client.sent == [{0: 10}]


def test_a_refusal_is_said_once_for_as_long_as_it_lasts(commits: Commits, client: Client) -> None:
    with capture_logs() as told:
        for _ in range(3):
            commits.send(client.consumer, {0: 10}, {})
            answer(commits, {0: 10}, REFUSAL)
            commits.again(client.consumer)
    assert [(line["event"], line["partitions"]) for line in told] == [
        ("offsets not committed to Kafka; the database has them", [0])
    ]
