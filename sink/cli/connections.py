"""How commands reach broker and registry: the settings, with what the command line says before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sink.avro.registry import Registry, RegistryAccess
from sink.settings import Settings


def kafka_options(settings: Settings, *, servers: str | None) -> dict[str, str]:
    """Give librdkafka's options; ``servers`` comes before the setting."""
    return settings.kafka if servers is None else {**settings.kafka, "bootstrap.servers": servers}


@contextmanager
def registry(settings: Settings, *, url: str | None) -> Iterator[Registry | None]:
    """Give the registry's client for a while, or None where no registry is set; ``url`` comes before the setting."""
    address = url or settings.registry.url
    if address is None:
        yield None
        return
    access = settings.registry
    client = Registry(
        RegistryAccess(
            urls=tuple(part.strip() for part in address.split(",") if part.strip()),
            user=access.user,
            password=None if access.password is None else access.password.get_secret_value(),
            ca_location=_text(access.ca_location),
            cert_location=_text(access.cert_location),
            key_location=_text(access.key_location),
            timeout=access.timeout,
        )
    )
    try:
        yield client
    finally:
        client.close()


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
