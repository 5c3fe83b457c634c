"""Which connections carry passwords in the open, told from the settings alone."""

from __future__ import annotations

import pytest

from sink.db.connect import conninfo
from sink.transport import broker_addresses, database_exposed, is_local, kafka_exposed, registry_exposed


@pytest.mark.parametrize(
    "host", ["", "/var/run/postgresql", "@socket", "localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"]
)
def test_this_machine(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "localhost.example", "127.0.0.1.example", "0.0.0.0", "::2"])
def test_other_machines(host: str) -> None:
    assert not is_local(host)


VERIFIED = [
    "postgresql://u:p@localhost/db",
    "postgresql://u:p@/db",
    "postgresql://u:p@/db?host=/var/run/postgresql",
    "postgresql://u:p@db.example/db?sslmode=verify-full",
    "postgresql://u:p@db.example/db?sslrootcert=system",
    "postgresql://u:p@/db?host=a:1&host=b:2&sslmode=verify-full",
    "postgresql://u:p@db.example/db?hostaddr=127.0.0.1",
]
EXPOSED = [
    "postgresql://u:p@db.example/db",
    "postgresql://u:p@db.example/db?sslmode=require",
    "postgresql://u:p@db.example/db?sslmode=verify-ca",
    "postgresql://u:p@db.example/db?sslmode=disable&sslrootcert=system",
    "postgresql://u:p@/db?host=localhost:1&host=db.example:2",
    "postgresql://u:p@/db?host=localhost,db.example",
    "postgresql://u:p@localhost/db?hostaddr=10.0.0.1",
    "postgresql://u:p@localhost/db?host=db.example",
    "postgresql://u:p@/db?service=production",
]


@pytest.mark.parametrize("url", VERIFIED)
def test_a_database_that_is_verified_or_on_this_machine(url: str) -> None:
    assert database_exposed(conninfo(url), {}) is None


@pytest.mark.parametrize("url", EXPOSED)
def test_a_database_that_is_not_verified(url: str) -> None:
    exposed = database_exposed(conninfo(url), {})
    assert exposed is not None
    assert "sslmode=verify-full" in exposed.cure
    assert "SINK_ALLOW_INSECURE_DATABASE=true" in exposed.cure
    assert ":p@" not in str(exposed)


def test_what_libpq_takes_from_the_environment_counts() -> None:
    assert database_exposed(conninfo("postgresql://u@/db"), {"PGHOST": "db.example"}) is not None
    assert database_exposed(conninfo("postgresql://u@/db"), {"PGSERVICE": "production"}) is not None
    assert database_exposed(conninfo("postgresql://u@db.example/db"), {"PGSSLMODE": "verify-full"}) is None


def test_every_host_of_a_url_reaches_libpq() -> None:
    told = conninfo("postgresql://u:p@/db?host=a:1&host=b:2&sslmode=verify-full")
    assert (told["host"], told["port"], told["sslmode"]) == ("a,b", "1,2", "verify-full")


AWAY = {"bootstrap.servers": "localhost:1,kafka.example:9093"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"security.protocol": "SASL_SSL"},
        {"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "https"},
        {"security.protocol": "SASL_PLAINTEXT", "bootstrap.servers": "localhost:1,127.0.0.1:2"},
    ],
)
def test_brokers_that_get_no_password_in_the_open(options: dict[str, str]) -> None:
    assert kafka_exposed(AWAY | options) is None


@pytest.mark.parametrize(
    "options",
    [
        {"security.protocol": "SASL_PLAINTEXT"},
        {"security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-512"},
        {"security.protocol": "SASL_SSL", "enable.ssl.certificate.verification": "false"},
        {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "none"},
    ],
)
def test_brokers_that_would(options: dict[str, str]) -> None:
    exposed = kafka_exposed(AWAY | options)
    assert exposed is not None
    assert "kafka.example" in exposed.found
    assert "localhost" not in exposed.found
    assert "SINK_ALLOW_INSECURE_KAFKA=true" in exposed.cure


def test_addresses_of_brokers_are_read_as_librdkafka_does() -> None:
    servers = {"bootstrap.servers": "a:1, SASL_SSL://b:2,c,[::1]:3"}
    assert broker_addresses(servers) == [("a", 1), ("b", 2), ("c", 9092), ("::1", 3)]


def test_a_registry_gets_no_password_in_the_open() -> None:
    assert registry_exposed(["https://r.example", "http://localhost:8081"], user="u") is None
    assert registry_exposed(["http://r.example"], user=None) is None
    exposed = registry_exposed(["https://a.example", "http://r.example/x"], user="u")
    assert exposed is not None
    assert "r.example" in exposed.found
    assert "SINK_ALLOW_INSECURE_REGISTRY=true" in exposed.cure
