"""Makes librdkafka's clients, so that options which it refuses are told in the same words everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException, libversion
from confluent_kafka.admin import AdminClient

from sink.errors import ConfigError, TransientError
from sink.kafka.errors import cause
from sink.kafka.logs import remarks

CLOSE_DEADLINE = 5.0
"""Seconds for a consumer to leave its group and close."""


def librdkafka_version() -> str:
    """Name the version of librdkafka that is loaded."""
    return str(libversion()[0])


def without_group(options: Mapping[str, str]) -> dict[str, str]:
    """Leave out what concerns a consumer group."""
    return {name: value for name, value in options.items() if not name.startswith("group.")}


@contextmanager
def refusals_told() -> Iterator[None]:
    """Raise ConfigError with librdkafka's sentence where a client is made with options that it refuses."""
    try:
        yield
    except KafkaException as error:
        raise ConfigError(f"librdkafka refuses its options: {cause(error).str()}") from error


def admin_client(
    options: Mapping[str, str], *, module: str, on_error: Callable[[KafkaError], object] | None = None
) -> AdminClient:
    """Make a client for questions and orders; ``module`` names the logger that gets its remarks."""
    asked: dict[str, object] = {**without_group(options)}
    if on_error is not None:
        asked["error_cb"] = on_error
    with refusals_told():
        return AdminClient(asked, logger=remarks(module))  # type: ignore[arg-type] # the stub knows no callbacks


def cluster_id(client: AdminClient, wait: float) -> str:
    """Say which cluster a client is connected to; raises TransientError where none answers within ``wait`` seconds.

    Asked of what the client has heard: librdkafka 2.16 aborts the whole process where a broker that its controller has
    fenced answers DescribeCluster, as if there were no broker.
    """
    try:
        return client.cluster_id(timeout=wait)
    except KafkaException as error:
        raise TransientError(f"Kafka does not say which cluster this is: {cause(error).str()}") from error
