"""How commands reach broker and registry: the settings, with what the command line says before them."""

from __future__ import annotations

from sink.producing.routes import Registry
from sink.settings import Settings


def kafka_options(settings: Settings, *, servers: str | None) -> dict[str, str]:
    """Give librdkafka's options; ``servers`` comes before the setting."""
    return settings.kafka if servers is None else {**settings.kafka, "bootstrap.servers": servers}


def registry_ids(settings: Settings, *, url: str | None) -> Registry | None:
    """Give the registry, or None where none is set; ``url`` comes before the setting."""
    if (url or settings.registry.url) is None:
        return None
    raise NotImplementedError
