"""What errors of Kafka mean for a user."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from sink.errors import DefinitionError, SinkError, TransientError
from sink.kafka.errors import translated


@pytest.mark.parametrize(
    ("code", "kind", "advice"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, DefinitionError, "sink topics apply"),
        (KafkaError._UNKNOWN_TOPIC, DefinitionError, "sink topics apply"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, DefinitionError, "grant it"),
        (KafkaError._AUTHENTICATION, DefinitionError, "SINK_KAFKA__"),
        (KafkaError.MSG_SIZE_TOO_LARGE, DefinitionError, "refused"),
        (KafkaError.INVALID_REPLICATION_FACTOR, DefinitionError, "refused"),
        (KafkaError._TRANSPORT, TransientError, "is the broker up"),
        (KafkaError._MSG_TIMED_OUT, TransientError, "is the broker up"),
        (KafkaError.NOT_ENOUGH_REPLICAS, TransientError, "is the broker up"),
    ],
)
def test_fault_38_error_is_something_to_mend_or_to_wait_for(code: int, kind: type[SinkError], advice: str) -> None:
    error = translated(KafkaError(code), doing="producing to market.trades")
    assert type(error) is kind
    assert str(error).startswith("producing to market.trades ")
    assert advice in str(error)
