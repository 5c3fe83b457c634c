"""Judges from views whether the process is alive and whether it is ready, with reasons. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sink.view import DatasetView

SILENT = 60.0
"""Seconds without a step of a loop after which it hangs. Its longest waits, such as a revoked partition's last flush or
a registry that does not answer, stay well below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a dataset is not ready: a stable word for programs, a sentence for people."""

    code: str
    message: str


def hanging(silences: Mapping[str, float]) -> list[str]:
    """Name the datasets whose loops have made no progress for too long; ``silences`` are in seconds."""
    return [dataset for dataset, silence in silences.items() if silence > SILENT]


def reasons(view: DatasetView) -> list[Reason]:
    """Say why a dataset is not ready; nothing where it is."""
    return list(_phase(view)) or [*_halted(view), *_services(view), *_partitions(view)]


def ready(views: Sequence[DatasetView]) -> bool:
    """Whether every dataset is."""
    return not any(reasons(view) for view in views)


def _phase(view: DatasetView) -> Iterator[Reason]:
    if view.phase == "starting":
        yield Reason(code="starting", message=view.waiting_for or "reaching Kafka and the database")
    elif view.phase == "stopping":
        yield Reason(code="stopping", message="the last flush is on its way")
    elif view.phase == "halted":
        yield Reason(code="halted", message=view.failure or "halted")


def _halted(view: DatasetView) -> Iterator[Reason]:
    for one in view.partitions:
        if one.reason:
            yield Reason(code="partition_halted", message=f"partition {one.partition}: {one.reason}")


def _services(view: DatasetView) -> Iterator[Reason]:
    for service, connected in view.connected.items():
        if connected is False and view.phase != "ended":
            yield Reason(code=service, message=view.waiting_for or f"{service} does not answer")


def _partitions(view: DatasetView) -> Iterator[Reason]:
    # a member beyond the number of partitions has none, and is ready to take over
    if view.phase != "running":
        return
    if not view.partitions and not view.joined:
        yield Reason(code="not_assigned", message="the group has not said yet which partitions are ours")
    elif view.partitions and not any(one.state in {"reading", "halted"} for one in view.partitions):
        yield Reason(code="not_claimed", message="no partition of ours is claimed in the database yet")
