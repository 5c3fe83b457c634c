"""Has a running sink answer over HTTP, as the settings say."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from sink import metrics
from sink.avro.registry import Outcome, Registry
from sink.cli import wiring
from sink.http.answers import Answers
from sink.http.page import page
from sink.http.server import listen
from sink.http.status import Process
from sink.kafka.clients import librdkafka_version
from sink.settings import Settings
from sink.watch import Watch


def count_request(outcome: Outcome) -> None:
    """Count a request to the registry."""
    metrics.REGISTRY_REQUESTS.labels(outcome).inc()


@contextmanager
def served(settings: Settings, watches: Sequence[Watch], registry: Registry | None) -> Iterator[None]:
    """Answer for a while, unless that is switched off or the port is not to be had."""
    ours = version("kafka-timescale-sink")
    metrics.BUILD.info({"version": ours, "python": platform.python_version(), "librdkafka": librdkafka_version()})
    if registry is not None:
        metrics.REGISTRY_SCHEMAS.set_function(lambda: registry.cached)
    process = Process(version=ours, owner=wiring.owner_name(), started_at=datetime.now(UTC))
    http = settings.http
    server = listen(http.host, http.port, Answers(process, watches, page())) if http.enabled else None
    try:
        yield
    finally:
        if server is not None:
            server.close()
