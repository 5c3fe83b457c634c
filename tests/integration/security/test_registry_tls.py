"""The registry behind TLS and a password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sink.avro.registry import Registry, RegistryAccess
from sink.avro.schemas import shipped_schema
from sink.errors import DefinitionError
from tests.integration.security.certificates import DAY, Authority, Issued
from tests.integration.security.registry_front import REGISTRY_PASSWORD, REGISTRY_USER, front


@pytest.fixture
def good(authority: Authority) -> Issued:
    return authority.issue("registry", "localhost")


@pytest.fixture
def secured(registry_url: str, good: Issued) -> Iterator[str]:
    with front(registry_url, good) as url:
        yield url


def ask(url: str, authority: Path | None, *, password: str = REGISTRY_PASSWORD) -> None:
    location = None if authority is None else str(authority)
    client = Registry(RegistryAccess(urls=(url,), user=REGISTRY_USER, password=password, ca_location=location))
    try:
        schema = shipped_schema("trades")
        number = client.register("secured-registry-value", schema.text)
        assert client.schema_by_id(number) == schema.json
    finally:
        client.close()


def test_tls_and_a_password_work(secured: str, authority: Authority) -> None:
    ask(secured, authority.certificate)


def test_fault_39_a_wrong_password_is_named(secured: str, authority: Authority) -> None:
    with pytest.raises(DefinitionError, match=r"registry_auth.*SINK_REGISTRY__PASSWORD"):
        ask(secured, authority.certificate, password="wrong")


@pytest.mark.parametrize("trusted", ["stranger", "the system"])
def test_fault_39_an_authority_that_is_not_trusted_is_named(secured: str, stranger: Authority, trusted: str) -> None:
    with pytest.raises(DefinitionError, match=r"not trusted.*SINK_REGISTRY__CA_LOCATION"):
        ask(secured, stranger.certificate if trusted == "stranger" else None)


def test_fault_39_an_expired_certificate_is_named(registry_url: str, authority: Authority) -> None:
    with (
        front(registry_url, authority.issue("expired-registry", "localhost", until=-DAY)) as url,
        pytest.raises(DefinitionError, match="has expired"),
    ):
        ask(url, authority.certificate)


def test_fault_39_a_certificate_for_another_host_is_named(registry_url: str, authority: Authority) -> None:
    with (
        front(registry_url, authority.issue("elsewhere-registry", "elsewhere.example")) as url,
        pytest.raises(DefinitionError, match="is for another host name"),
    ):
        ask(url, authority.certificate)
