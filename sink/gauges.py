"""Shows a view of a dataset as gauges; what is no longer ours, or not known, is absent rather than old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sink import metrics
from sink.view import DatasetView

_PARTITIONS = {
    "lag_messages": metrics.LAG_MESSAGES,
    "lag_seconds": metrics.LAG_SECONDS,
    "position": metrics.POSITION_OFFSET,
    "commit": metrics.COMMITTED_OFFSET,
    "log_end": metrics.LOG_END_OFFSET,
}


class Gauges:
    """The gauges of one dataset; ``states`` are those that a partition can be in."""

    def __init__(self, dataset: str, states: tuple[str, ...]) -> None:
        self._dataset = dataset
        self._states = states
        self._shown: dict[str, set[int]] = {name: set() for name in _PARTITIONS}
        self._unknown_fields = 0

    def show(self, view: DatasetView) -> None:
        """Set every gauge."""
        for name in _PARTITIONS:
            told = {one.partition: getattr(one, name) for one in view.partitions}
            self._show_partitions(name, {number: value for number, value in told.items() if value is not None})
        states = Counter(one.state for one in view.partitions)
        for state in self._states:
            metrics.PARTITIONS.labels(self._dataset, state).set(states[state])
        for service, connected in view.connected.items():
            if connected is not None:
                metrics.CONNECTED.labels(self._dataset, service).set(connected)
        if view.breaker is not None:
            metrics.BREAKER_SHARE.labels(self._dataset).set(view.breaker.share)
            metrics.BREAKER_LIMIT.labels(self._dataset).set(view.breaker.limit)
        metrics.HELD_BYTES.labels(self._dataset).set(view.held_bytes)
        metrics.PAUSED.labels(self._dataset).set(view.paused)
        metrics.HALTED.labels(self._dataset).set(view.halted)
        metrics.UNKNOWN_FIELDS.labels(self._dataset).inc(view.unknown_field_values - self._unknown_fields)
        self._unknown_fields = view.unknown_field_values

    def _show_partitions(self, name: str, values: Mapping[int, float]) -> None:
        gauge, before = _PARTITIONS[name], self._shown[name]
        for gone in before - values.keys():
            gauge.remove(self._dataset, str(gone))
        for number, value in values.items():
            gauge.labels(self._dataset, str(number)).set(value)
        self._shown[name] = set(values)
