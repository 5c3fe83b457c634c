"""Every metric of the sink, named and explained once; docs/metrics.md is written from here.

``dataset`` is one of the datasets' names, ``partition`` only partitions that are ours now, ``sqlstate`` from a list of
PostgreSQL's: no label takes values that a message brings along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

# a second series for each counter and histogram, which no query needs
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry(auto_describe=True)
"""The sink's own, so that no library adds metrics that nobody has explained."""
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

STAGES = ("poll", "decode", "prepare", "wait", "write", "commit")
OUTCOMES = ("written", "not_newer", "deduplicated")
SERVICES = ("kafka", "database", "registry")
REBALANCES = ("assigned", "revoked", "lost")

_DATASET = ("dataset",)
_PARTITION = ("dataset", "partition")
_FLUSH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_FRESHNESS_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60, 300, 1800, 7200, 86_400)
_MESSAGES = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 50_000, 100_000)
_BYTES = tuple(1024 * 4**power for power in range(9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What a metric means; ``name`` as it is scraped, without the parts of a histogram."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


SECTIONS: dict[str, list[Explained]] = {}
"""All metrics of our own, by heading."""


class _Section:
    """Makes the metrics under one heading, and keeps what they mean."""

    def __init__(self, title: str) -> None:
        self._explained = SECTIONS[title] = []

    def counter(self, name: str, meaning: str, labels: tuple[str, ...]) -> Counter:
        self._explain(f"{name}_total", "counter", meaning, labels)
        return Counter(name, meaning, labels, registry=REGISTRY)

    def gauge(self, name: str, meaning: str, labels: tuple[str, ...]) -> Gauge:
        self._explain(name, "gauge", meaning, labels)
        return Gauge(name, meaning, labels, registry=REGISTRY)

    def histogram(self, name: str, meaning: str, labels: tuple[str, ...], buckets: Sequence[float]) -> Histogram:
        self._explain(name, "histogram", meaning, labels)
        return Histogram(name, meaning, labels, buckets=buckets, registry=REGISTRY)

    def info(self, name: str, meaning: str, labels: tuple[str, ...]) -> Info:
        self._explain(f"{name}_info", "gauge", meaning, labels)
        return Info(name, meaning, registry=REGISTRY)

    def _explain(self, name: str, kind: str, meaning: str, labels: tuple[str, ...]) -> None:
        self._explained.append(Explained(name=name, type=kind, labels=labels, meaning=meaning))


_flow = _Section("What becomes of messages")
MESSAGES = _flow.counter(
    "sink_messages", "Messages made durable: accounted for by a flush whose transaction has committed.", _DATASET
)
ROWS = _flow.counter(
    "sink_rows",
    "Rows by outcome: written (inserted or updated), not_newer (a newer version stood there already), deduplicated"
    " (another message of the same batch was newer).",
    (*_DATASET, "outcome"),
)
IGNORED = _flow.counter(
    "sink_ignored_messages", "Messages that are no rows and no faults, such as tombstones.", _DATASET
)
LATE = _flow.counter(
    "sink_late_rows", "Rows written though they are older than the table's retention, which drops them again.", _DATASET
)
QUARANTINED = _flow.counter(
    "sink_quarantined_messages",
    "Messages that could not become rows and are kept whole in sink.quarantine, by reason.",
    (*_DATASET, "reason"),
)
UNKNOWN_FIELDS = _flow.counter(
    "sink_unknown_field_values", "Values of fields that no column takes; they are left out.", _DATASET
)

_time = _Section("Where the second goes")
FLUSH_SECONDS = _time.histogram(
    "sink_flush_seconds",
    "Seconds that a flush took on its way to the database, COMMIT included, working out its rows excluded.",
    _DATASET,
    _FLUSH_SECONDS,
)
STAGE_SECONDS = _time.histogram(
    "sink_stage_seconds",
    "Where the second goes: poll and decode (each poll), prepare (each batch: check, deduplicate, sort, encode), wait"
    " (each batch: full or due, until the writer takes it), write and commit (each flush).",
    (*_DATASET, "stage"),
    _STAGE_SECONDS,
)
BATCH_MESSAGES = _time.histogram("sink_batch_messages", "Messages of a flushed batch.", _DATASET, _MESSAGES)
BATCH_BYTES = _time.histogram("sink_batch_bytes", "Bytes of the raw messages of a flushed batch.", _DATASET, _BYTES)

_progress = _Section("How far it is")
LAG_MESSAGES = _progress.gauge(
    "sink_lag_messages",
    "Messages between the position in the database and the log's end, of partitions that are ours.",
    _PARTITION,
)
LAG_SECONDS = _progress.gauge(
    "sink_lag_seconds",
    "Age of the record at the position, 0 when caught up; where that record has not been read yet, how long the"
    " position has stood still behind the log's end.",
    _PARTITION,
)
POSITION_OFFSET = _progress.gauge("sink_position_offset", "Our next offset, as the database has it.", _PARTITION)
COMMITTED_OFFSET = _progress.gauge(
    "sink_committed_offset",
    "The group's commit in Kafka, which follows the position; absent while Kafka has none.",
    _PARTITION,
)
LOG_END_OFFSET = _progress.gauge(
    "sink_log_end_offset",
    "The offset behind the last readable message, as far as Kafka's client has heard.",
    _PARTITION,
)
FRESHNESS_SECONDS = _progress.histogram(
    "sink_freshness_seconds",
    "Seconds from the newest event of each partition of a flush to the moment it was durable, by the database's clock.",
    _DATASET,
    _FRESHNESS_SECONDS,
)
NEWEST_EVENT = _progress.gauge(
    "sink_newest_event_timestamp_seconds",
    "Time of the newest event that this process has made durable, in Unix seconds.",
    _DATASET,
)
LAST_FLUSH = _progress.gauge(
    "sink_last_flush_timestamp_seconds", "When this process last made a batch durable, in Unix seconds.", _DATASET
)
LAST_STEP = _progress.gauge(
    "sink_last_step_timestamp_seconds",
    "When the loop last made progress, in Unix seconds; /livez judges by the same.",
    _DATASET,
)

_trouble = _Section("Whether anything is wrong")
RETRIES = _trouble.counter(
    "sink_retries",
    "Tasks that failed for a passing reason and are tried again, by PostgreSQL's SQLSTATE, 'none' where there is none.",
    (*_DATASET, "sqlstate"),
)
FENCES = _trouble.counter(
    "sink_fences",
    "Times that the database refused this process a partition because another owner had claimed it.",
    _DATASET,
)
REBALANCED = _trouble.counter(
    "sink_rebalances", "The group's decisions: partitions assigned, revoked, lost.", (*_DATASET, "event")
)
PARTITIONS = _trouble.gauge(
    "sink_partitions",
    "Partitions of ours by what they are doing: waiting, claiming, reading, halted.",
    (*_DATASET, "state"),
)
HELD_BYTES = _trouble.gauge(
    "sink_held_bytes",
    "Bytes of raw messages that are held: being collected, waiting to be decoded, on their way to the database.",
    _DATASET,
)
PAUSED = _trouble.gauge("sink_paused", "1 while back-pressure holds Kafka back.", _DATASET)
BREAKER_SHARE = _trouble.gauge("sink_breaker_share", "Share of bad messages within the breaker's window.", _DATASET)
BREAKER_LIMIT = _trouble.gauge(
    "sink_breaker_limit", "Share of bad messages at which the breaker halts the dataset.", _DATASET
)
HALTED = _trouble.gauge(
    "sink_halted", "1 while the dataset, or one of its partitions here, waits for a person; /readyz says why.", _DATASET
)
CONNECTED = _trouble.gauge(
    "sink_connected",
    "1 if the last exchange with the service worked, 0 if it failed; absent before the first one.",
    (*_DATASET, "service"),
)
REGISTRY_REQUESTS = _trouble.counter(
    "sink_registry_requests",
    "Requests to the schema registry by outcome: answered, refused (an unknown schema, a login), failed.",
    ("outcome",),
)
REGISTRY_SCHEMAS = _trouble.gauge(
    "sink_registry_cached_schemas",
    "Writer schemas that this process has from the registry and does not ask for again.",
    (),
)
BUILD = _trouble.info("sink_build", "What is running.", ("version", "python", "librdkafka"))

_house = _Section("Housekeeping, each minute")
TABLE_BYTES = _house.gauge("sink_table_bytes", "Size of the table, indexes included.", _DATASET)
TABLE_CHUNKS = _house.gauge("sink_table_chunks", "Chunks of the table.", _DATASET)
TABLE_OLDEST = _house.gauge(
    "sink_table_oldest_timestamp_seconds", "Where the table's oldest chunk begins, in Unix seconds.", _DATASET
)
QUARANTINE_WAITING = _house.gauge(
    "sink_quarantine_waiting", "Messages in quarantine that nobody has replayed or dropped yet.", _DATASET
)
RETENTION_RUNS = _house.counter(
    "sink_retention_runs",
    "Runs of the sink's own retention (Apache-2 edition): done, locked_elsewhere (another replica does it), failed.",
    (*_DATASET, "outcome"),
)
RETENTION_DROPPED = _house.counter(
    "sink_retention_dropped_chunks", "Chunks dropped by the sink's own retention.", _DATASET
)
RETENTION_LAST_RUN = _house.gauge(
    "sink_retention_last_run_timestamp_seconds",
    "When the sink's own retention last ran to its end here, in Unix seconds.",
    _DATASET,
)
