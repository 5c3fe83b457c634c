"""The librdkafka options that pass through, and those that the sink does not leave to a setting."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

DEFAULTS = {"bootstrap.servers": "localhost:9092"}
SECRET_OPTIONS = frozenset(
    {
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.password",
        "sasl.username",
        "ssl.ca.pem",
        "ssl.certificate.pem",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)
"""Options whose value may come from a file: ``SINK_KAFKA__SASL_PASSWORD_FILE``."""

REFUSED = "kafka_options"
"""Type of the error whose context ``refused`` says for each refused option why."""

_COMMIT = "the sink commits offsets itself, after the database has"
OWNED = {
    "auto.commit.enable": _COMMIT,
    "auto.commit.interval.ms": _COMMIT,
    "auto.offset.reset": "the database decides where reading starts; set SINK_INITIAL_OFFSET and SINK_ON_DATA_LOSS",
    "enable.auto.commit": _COMMIT,
    "enable.auto.offset.store": _COMMIT,
    "enable.partition.eof": "the sink asks for the log end itself",
    "group.id": "each dataset has its own group; set SINK_GROUP_PREFIX",
    "metadata.broker.list": "use bootstrap.servers",
}
ONLY = {
    "enable.idempotence": ("true", "producing twice must not write twice"),
    "isolation.level": ("read_committed", "aborted transactions must not become rows"),
    "partition.assignment.strategy": ("cooperative-sticky", "partitions are taken and given one by one"),
}
_CLASSIC_ONLY = frozenset({"heartbeat.interval.ms", "partition.assignment.strategy", "session.timeout.ms"})
"""Options that librdkafka refuses together with ``group.protocol=consumer``: the broker decides them there."""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _accept(options: object) -> object:
    if not isinstance(options, dict):
        return options
    given = {str(name): _text(value) for name, value in options.items()}
    refused = {name: f"is not a setting: {OWNED[name]}" for name in given.keys() & OWNED}
    for name in given.keys() & ONLY:
        allowed, reason = ONLY[name]
        if given[name] != allowed:
            refused[name] = f"must be {allowed}: {reason}"
    if given.get("group.protocol") == "consumer":
        for name in given.keys() & _CLASSIC_ONLY:
            refused[name] = "cannot be set with group.protocol=consumer: the broker decides it"
    if refused:
        listed = "; ".join(f"{name} {why}" for name, why in sorted(refused.items()))
        raise PydanticCustomError(REFUSED, "{listed}", {"listed": listed, "refused": refused})
    return DEFAULTS | given


KafkaOptions = Annotated[dict[str, str], BeforeValidator(_accept)]
