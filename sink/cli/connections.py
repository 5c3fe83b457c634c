"""How commands reach broker, registry and database: the settings, with what the command line says before them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sink import transport
from sink.avro.registry import Outcome, Registry, RegistryAccess
from sink.datasets import DATASETS, Dataset
from sink.db.connect import conninfo
from sink.errors import ConfigError
from sink.settings import Settings


def kafka_options(settings: Settings, *, servers: str | None) -> dict[str, str]:
    """Give librdkafka's options; ``servers`` comes before the setting.

    Raises ConfigError where a password would cross the network in the open, as :func:`registry` does.
    """
    options = settings.kafka if servers is None else {**settings.kafka, "bootstrap.servers": servers}
    if not settings.allow_insecure_kafka:
        _refuse(transport.kafka_exposed(options))
    return options


def database_url(settings: Settings) -> str:
    """Give the database's URL; raises ConfigError where it would be reached on another host without verifying it."""
    url = settings.database_url.get_secret_value()
    if not settings.allow_insecure_database:
        _refuse(transport.database_exposed(conninfo(url), os.environ))
    return url


def chosen(names: Sequence[str]) -> list[Dataset]:
    """Give the datasets of these names, all where there are none."""
    unknown = [name for name in names if name not in DATASETS]
    if unknown:
        raise ConfigError(f"no dataset is called {', '.join(unknown)}; there are {', '.join(DATASETS)}")
    return [DATASETS[name] for name in dict.fromkeys(names or DATASETS)]


def _refuse(exposed: transport.Exposed | None) -> None:
    if exposed is not None:
        raise ConfigError(str(exposed))


def registry_urls(address: str) -> tuple[str, ...]:
    """Split a list of registry addresses."""
    return tuple(part.strip() for part in address.split(",") if part.strip())


@contextmanager
def registry(
    settings: Settings, *, url: str | None, heard: Callable[[Outcome], None] = lambda _: None
) -> Iterator[Registry | None]:
    """Give the registry's client for a while, or None where no registry is set; ``url`` comes before the setting.

    ``heard`` is told of each request to it.
    """
    address = url or settings.registry.url
    if address is None:
        yield None
        return
    access = settings.registry
    if not settings.allow_insecure_registry:
        _refuse(transport.registry_exposed(registry_urls(address), user=access.user))
    client = Registry(
        RegistryAccess(
            urls=registry_urls(address),
            user=access.user,
            password=None if access.password is None else access.password.get_secret_value(),
            ca_location=_text(access.ca_location),
            cert_location=_text(access.cert_location),
            key_location=_text(access.key_location),
            timeout=access.timeout,
        ),
        heard=heard,
    )
    try:
        yield client
    finally:
        client.close()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
