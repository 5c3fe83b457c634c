"""Finds out why no broker answers: a name, a certificate, a password, or nobody there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException

from sink import handshake
from sink.errors import ConfigError, DefinitionError, SinkError, TransientError
from sink.handshake import Credentials
from sink.kafka.clients import admin_client
from sink.kafka.errors import cause, translated
from sink.transport import broker_addresses

PATIENCE = 3.0
"""Seconds in which librdkafka is to say what is wrong."""
_LOOK_EVERY = 0.2
_CERTIFICATE, _LOGIN, _NAME = KafkaError._SSL, KafkaError._AUTHENTICATION, KafkaError._RESOLVE  # noqa: SLF001 (their public spelling)
# Its calls end in "transport failure" whatever the cause; only what it tells on the side names that.
_TELLING = (_LOGIN, _CERTIFICATE, _NAME)
_TLS = frozenset({"ssl", "sasl_ssl"})


def hopeless(options: Mapping[str, str]) -> SinkError | None:
    """Say why waiting for the brokers cannot help, None where it can: they are away, or they answer."""
    found = why_unreachable(options)
    return None if isinstance(found, TransientError) else found


def unanswered(error: KafkaException, options: Mapping[str, str], *, doing: str) -> SinkError:
    """Make the sink's error of a first question that failed; behind "transport failure" it finds certificate and login.

    ``doing`` begins the sentence, as in :func:`sink.kafka.errors.translated`. Asks the brokers again for some seconds,
    but only where TLS or a login may be the cause.
    """
    told = translated(cause(error), doing=doing)
    if not isinstance(told, TransientError) or options.get("security.protocol", "plaintext").lower() == "plaintext":
        return told
    return hopeless(options) or told


def why_unreachable(
    options: Mapping[str, str], *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
) -> SinkError | None:
    """Say why no broker answers, with what mends it; None where one does.

    DefinitionError where it will not heal (certificate, password), TransientError where it may, ConfigError where
    librdkafka refuses its options.
    """
    servers = options.get("bootstrap.servers", "")
    told: dict[int, KafkaError] = {}
    try:
        admin = admin_client(options, module=__name__, on_error=lambda error: told.setdefault(error.code(), error))
    except ConfigError as error:
        return error
    until = clock() + patience
    while clock() < until:
        try:
            admin.list_topics(timeout=_LOOK_EVERY)
        except KafkaException as error:
            told.setdefault(error.args[0].code(), error.args[0])
        else:
            return None
        admin.poll(0)
        for code in _TELLING:
            if code in told:
                return _explained(told[code], servers, options)
    return _tls_refused(options) or TransientError(
        f"no broker answers at {servers}; start it (for development: sink stack up), or correct"
        " SINK_KAFKA__BOOTSTRAP_SERVERS"
    )


def _explained(error: KafkaError, servers: str, options: Mapping[str, str]) -> SinkError:
    if error.code() == _LOGIN:
        return DefinitionError(
            f"the broker at {servers} refuses the login: {error.str()}. Check SINK_KAFKA__SASL_MECHANISM,"
            " SINK_KAFKA__SASL_USERNAME and SINK_KAFKA__SASL_PASSWORD"
        )
    if error.code() == _NAME:
        return TransientError(
            f"a host name of {servers} is unknown; check SINK_KAFKA__BOOTSTRAP_SERVERS, or the name service"
        )
    return _tls_refused(options) or DefinitionError(f"no TLS with the broker at {servers}: {error.str()}. {_TRUST}")


def _tls_refused(options: Mapping[str, str]) -> DefinitionError | None:
    if options.get("security.protocol", "").lower() not in _TLS:
        return None
    credentials = Credentials(
        authority=options.get("ssl.ca.location"),
        certificate=options.get("ssl.certificate.location"),
        key=options.get("ssl.key.location"),
    )
    for host, port in broker_addresses(options):
        refused = handshake.kafka(host, port, credentials)
        if refused is not None:
            return DefinitionError(f"no TLS with the broker at {host}:{port}: {refused}. {_TRUST}")
    return None


_TRUST = (
    "Whom to trust is SINK_KAFKA__SSL_CA_LOCATION; our own certificate is SINK_KAFKA__SSL_CERTIFICATE_LOCATION and"
    " SINK_KAFKA__SSL_KEY_LOCATION"
)
