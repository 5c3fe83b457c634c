"""Authorities of the tests' own, and a database and a registry behind TLS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sink.stack.cache import Cache
from tests.integration.security.certificates import Authority
from tests.integration.security.secured import SecuredBroker, SecuredDatabase


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the certificates."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="session")
def authority(certificates: Path) -> Authority:
    """Whom the servers' certificates come from."""
    return Authority(certificates, "authority")


@pytest.fixture(scope="session")
def stranger(certificates: Path) -> Authority:
    """Somebody whom no server's certificate comes from."""
    return Authority(certificates, "stranger")


@pytest.fixture(scope="module")
def broker(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """Start a broker with TLS, passwords and an authorizer."""
    directory = tmp_path_factory.mktemp("broker")
    broker = SecuredBroker(
        directory=directory, cache=Cache.of_user(os.environ), environ=os.environ, authority=authority
    )
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def tls_database(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredDatabase]:
    """Start a database server that takes passwords over TLS only."""
    directory = tmp_path_factory.mktemp("database")
    database = SecuredDatabase(
        directory=directory, cache=Cache.of_user(os.environ), environ=os.environ, authority=authority
    )
    try:
        database.start()
        yield database
    finally:
        database.stop()
        database.delete_data()
