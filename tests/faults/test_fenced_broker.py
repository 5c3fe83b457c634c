"""A broker that answers as if its cluster had no broker: an answer like any other, that must not end the process."""

from __future__ import annotations

import pytest

from sink.errors import DefinitionError
from sink.kafka.clients import admin_client
from sink.kafka.questions import TopicQuestions
from sink.kafka.standing import Brokers
from tests.fenced_broker import broker


def test_fault_34_a_fenced_broker_is_asked_for_its_cluster_and_the_process_lives() -> None:
    """Where DescribeCluster is answered so, an assertion in librdkafka 2.16 aborts the process."""
    with broker() as one:
        brokers = Brokers({"bootstrap.servers": one.bootstrap_servers}, timeout=5)
        assert brokers.cluster_id() == "a-cluster"
        one.fenced = True
        assert brokers.cluster_id() == "a-cluster"


def test_fault_34_a_fenced_broker_is_asked_for_a_topic_and_the_process_lives() -> None:
    with broker() as one:
        client = admin_client({"bootstrap.servers": one.bootstrap_servers}, module=__name__)
        for fenced in (False, True):
            one.fenced = fenced
            questions = TopicQuestions(lambda: client, "a-topic", cure=str)
            with pytest.raises(DefinitionError, match="the topic does not exist"):
                questions.identity(5)
