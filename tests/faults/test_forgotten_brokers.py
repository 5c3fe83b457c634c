"""A client that forgets its brokers while one of them starts, as librdkafka's issue 5301 tells: it is replaced."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

import pytest
from confluent_kafka import Producer

from sink.errors import TransientError
from sink.kafka.clients import admin_client
from sink.kafka.consumer import TopicConsumer
from sink.kafka.contact import Contact
from sink.kafka.logs import remarks
from sink.kafka.questions import TopicQuestions
from tests.fix_sink import make_topics, wait_until
from tests.patience import ANSWER


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[int, ...]]] = []

    def assigned(self, partitions: Sequence[int]) -> None:
        self.heard.append(("assigned", tuple(partitions)))

    def revoked(self, partitions: Sequence[int]) -> None:
        self.heard.append(("revoked", tuple(partitions)))

    def lost(self, partitions: Sequence[int]) -> None:
        self.heard.append(("lost", tuple(partitions)))


class ToldContact(Contact):
    """Believes that contact is lost when a test says so."""

    told = False

    @property
    def lost(self) -> bool:
        return self.told

    def begin_anew(self) -> None:
        self.told = False


@pytest.fixture
def topic(bootstrap_servers: str) -> str:
    """Make a topic of one partition with one message."""
    name = f"test-{uuid.uuid4().hex}"
    make_topics(bootstrap_servers, [name], 1)
    produce(bootstrap_servers, name)
    return name


def produce(servers: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": servers}, logger=remarks(__name__))
    producer.produce(topic, "a value")
    assert producer.flush(ANSWER) == 0


def read(consumer: TopicConsumer) -> Sequence[int]:
    """Poll once, as the loop does: what broke off is claimed, and read, again."""
    try:
        return consumer.poll(10, 0.2).messages.offsets
    except TransientError:
        consumer.read_from(0, 0)
        return []


def test_fault_34_a_reader_outside_the_group_is_replaced_and_reads_on(bootstrap_servers: str, topic: str) -> None:
    contact = ToldContact()
    consumer = TopicConsumer(
        options={"bootstrap.servers": bootstrap_servers}, topic=topic, group=topic, contact=contact
    )
    consumer.take(Listener(), [0])
    consumer.read_from(0, 0)
    wait_until(lambda: 0 in read(consumer), "the message is read")

    contact.told = True
    with pytest.raises(TransientError, match="a new one takes its place"):
        consumer.poll(1, 0.1)
    produce(bootstrap_servers, topic)
    consumer.read_from(0, 1)

    wait_until(lambda: 1 in read(consumer), "what came afterwards is read")
    assert consumer.close(10)


def test_fault_34_a_member_that_is_replaced_loses_its_partitions_and_joins_again(
    bootstrap_servers: str, topic: str
) -> None:
    listener, contact = Listener(), ToldContact()
    options = {"bootstrap.servers": bootstrap_servers, "session.timeout.ms": "6000"}
    consumer = TopicConsumer(options=options, topic=topic, group=topic, contact=contact)
    consumer.subscribe(listener)
    wait_until(lambda: bool(consumer.poll(1, 0.1)) and bool(listener.heard), "the partition is assigned")

    contact.told = True
    with pytest.raises(TransientError, match="a new one takes its place"):
        consumer.poll(1, 0.1)

    wait_until(lambda: bool(consumer.poll(1, 0.1)) and len(listener.heard) > 2, "the new member has the partition")
    assert listener.heard == [("assigned", (0,)), ("lost", (0,)), ("assigned", (0,))]
    consumer.read_from(0, 0)
    wait_until(lambda: 0 in read(consumer), "the message is read")
    assert consumer.close(10)


def test_questions_are_asked_with_a_new_client_after_one_without_an_answer(topic: str, bootstrap_servers: str) -> None:
    servers = iter(["127.0.0.1:1", bootstrap_servers])
    questions = TopicQuestions(
        lambda: admin_client({"bootstrap.servers": next(servers)}, module=__name__), topic, cure=str
    )
    with pytest.raises(TransientError):
        questions.log_ends([0], 0.5)
    assert questions.log_ends([0], 10) == {0: 1}
    assert questions.identity(10) == questions.identity(10)


@pytest.mark.parametrize(
    ("reports", "lost"),
    [
        ([["configured"]], False),
        ([["learned", "logical"], ["logical"]], False),
        ([["logical"], ["logical"]], True),
        ([[], ["internal"]], True),
        ([["logical"], ["learned"], ["logical"]], False),
    ],
)
def test_contact_is_lost_when_two_reports_in_a_row_name_no_broker(reports: list[list[str]], *, lost: bool) -> None:
    contact = Contact()
    for sources in reports:
        brokers = {f"{number}": {"source": source} for number, source in enumerate(sources)}
        contact.hear(json.dumps({"brokers": brokers}))
    assert contact.lost is lost
    contact.begin_anew()
    assert not contact.lost


def test_contact_tells_whether_a_broker_answers_whether_we_are_a_member_and_what_is_committed() -> None:
    contact = Contact()
    assert (contact.connected, contact.joined, contact.commits) == (None, False, {}), "nothing was reported yet"
    down = {"source": "learned", "state": "DOWN"}
    partitions = {"0": {"committed_offset": 12}, "1": {"committed_offset": -1001}, "-1": {"committed_offset": -1001}}
    report = {
        "brokers": {"one": down, "two": {"source": "learned", "state": "UP"}},
        "cgrp": {"join_state": "steady"},
        "topics": {"market.trades": {"partitions": partitions}},
    }
    contact.hear(json.dumps(report))
    assert (contact.connected, contact.joined, contact.commits) == (True, True, {0: 12})
    coordinator = {"source": "logical", "state": "UP"}
    contact.hear(json.dumps(report | {"brokers": {"one": down, "c": coordinator}, "cgrp": {"join_state": "wait-join"}}))
    assert (contact.connected, contact.joined) == (False, False)


@pytest.mark.parametrize(
    ("group", "joined"),
    [
        ({}, False),
        ({"join_state": "init", "state": "up", "stateage": 3_000}, False),
        ({"join_state": "init", "state": "up", "stateage": 12_000}, True),
        ({"join_state": "init", "state": "wait-coord", "stateage": 12_000}, False),
        ({"join_state": "wait-sync", "state": "up", "stateage": 12_000}, False),
    ],
)
def test_a_member_of_the_newer_protocol_that_hears_nothing_for_ten_seconds_has_no_partition(
    group: dict[str, object], *, joined: bool
) -> None:
    contact = Contact()
    contact.hear(json.dumps({"brokers": {}, "cgrp": group}))
    assert contact.joined is joined
