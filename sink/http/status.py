"""Makes JSON of views: /livez, /readyz and /status, as docs/operations.md describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sink.http.health import SILENT, hanging, ready, reasons
from sink.view import DatasetView

_ROUNDED = 4
"""Decimals of seconds and rates: a tenth of a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Which process answers."""

    version: str
    owner: str
    started_at: datetime


def livez(silences: Mapping[str, float]) -> dict[str, Any]:
    """Give the answer of /livez; ``silences`` are the seconds since each loop last made progress."""
    dead = hanging(silences)
    return {
        "alive": not dead,
        "silent_seconds": {dataset: round(silence, 1) for dataset, silence in silences.items()},
        "reasons": [
            f"{dataset}: its loop has made no progress for {silences[dataset]:.0f} s, more than {SILENT:.0f} s"
            for dataset in dead
        ],
    }


def readyz(views: Sequence[DatasetView]) -> dict[str, Any]:
    """Give the answer of /readyz."""
    return {
        "ready": ready(views),
        "datasets": {
            view.dataset: {"phase": view.phase, "reasons": [asdict(reason) for reason in reasons(view)]}
            for view in views
        },
    }


def status(process: Process, views: Sequence[DatasetView], *, now: datetime) -> dict[str, Any]:
    """Give the answer of /status."""
    told: dict[str, Any] = _plain(
        {
            "at": now,
            **asdict(process),
            "ready": ready(views),
            "datasets": [
                {
                    **asdict(view),
                    "ready": not reasons(view),
                    "reasons": [asdict(reason) for reason in reasons(view)],
                    "halted": view.halted,
                    "lag_messages": view.lag_messages,
                    "lag_seconds": view.lag_seconds,
                }
                for view in views
            ],
        }
    )
    return told


def _plain(value: Any) -> Any:
    """Make what JSON knows of a value: ISO 8601 for times, a few decimals for seconds."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, _ROUNDED)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
