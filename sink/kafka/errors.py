"""What an error of librdkafka or the broker means: something to mend, or something to wait for."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from sink.errors import DefinitionError, SinkError, TransientError

_MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})  # noqa: SLF001 (their public spelling)
_REFUSED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001 (as above)
    }
)
_DEFINED_OTHERWISE = frozenset(
    {
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_CONFIG,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }
)


def cause(error: KafkaException) -> KafkaError:
    """Give the error that an exception of the client carries."""
    found: KafkaError = error.args[0]
    return found


def translated(error: KafkaError, *, doing: str, cure: str = "") -> SinkError:
    """Make the sink's error of one from Kafka; ``doing`` begins the sentence: ``producing to market.trades``.

    ``cure`` ends the sentence about a refusal, where the caller knows better which grant is missing.
    """
    code = error.code()
    if code in _MISSING:
        return DefinitionError(f"{doing} failed: the topic does not exist; create it with: sink topics apply")
    if code in _REFUSED:
        return DefinitionError(
            f"{doing} was refused: {error.str()}{cure or '; grant it, or correct the SINK_KAFKA__ settings'}"
        )
    if code in _DEFINED_OTHERWISE:
        return DefinitionError(f"{doing} was refused: {error.str()}")
    return TransientError(f"{doing} failed: {error.str()}; is the broker up? (sink stack status)")
