"""The systems that are compared, by name."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.systems.handwritten import Handwritten
from benchmarks.systems.kafka_connect import KafkaConnect
from benchmarks.systems.limit import Limit
from benchmarks.systems.quix import Quix
from benchmarks.systems.sink import Sink
from benchmarks.systems.sink_replay import SinkReplay
from benchmarks.systems.system import System
from sink.errors import ConfigError

__all__ = ["SYSTEMS", "System", "chosen"]

SYSTEMS: dict[str, System] = {
    system.name: system for system in (Sink(), KafkaConnect(), Quix(), Handwritten(), Limit(), SinkReplay())
}


def chosen(names: Sequence[str]) -> list[System]:
    """Give the named systems, all where none is named. Raises ConfigError for an unknown one."""
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown:
        raise ConfigError(f"no system is called {', '.join(unknown)}; there are {', '.join(SYSTEMS)}")
    return [SYSTEMS[name] for name in names or SYSTEMS]
