"""Every metric of the sink, named and explained once; docs/metrics.md is written from here.

``dataset`` is one of the datasets' names, ``partition`` only partitions that are ours now, ``sqlstate`` from PostgreSQL's
own list: no label takes values that a message brings along.
"""

from __future__ import annotations

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

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter and histogram, which no query of ours needs

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

# ---- what becomes of messages

MESSAGES = Counter(
    "sink_messages",
    "Messages made durable: accounted for by a flush whose transaction has committed.",
    _DATASET,
    registry=REGISTRY,
)
ROWS = Counter(
    "sink_rows",
    "Rows by outcome: written (inserted or updated), not_newer (a newer version stood there already), deduplicated"
    " (another message of the same batch was newer).",
    (*_DATASET, "outcome"),
    registry=REGISTRY,
)
IGNORED = Counter(
    "sink_ignored_messages",
    "Messages that are no rows and no faults, such as tombstones.",
    _DATASET,
    registry=REGISTRY,
)
LATE = Counter(
    "sink_late_rows",
    "Rows written though they are older than the table's retention, which drops them again.",
    _DATASET,
    registry=REGISTRY,
)
QUARANTINED = Counter(
    "sink_quarantined_messages",
    "Messages that could not become rows and are kept whole in sink.quarantine, by reason.",
    (*_DATASET, "reason"),
    registry=REGISTRY,
)
UNKNOWN_FIELDS = Counter(
    "sink_unknown_field_values",
    "Values of fields that no column takes; they are left out.",
    _DATASET,
    registry=REGISTRY,
)

# ---- where the second goes

FLUSH_SECONDS = Histogram(
    "sink_flush_seconds",
    "Seconds that a flush took on its way to the database, COMMIT included, working out its rows excluded.",
    _DATASET,
    buckets=_FLUSH_SECONDS,
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "sink_stage_seconds",
    "Where the second goes: poll and decode (each poll), prepare (each batch: check, deduplicate, sort, encode), wait"
    " (each batch: full or due, until the writer takes it), write and commit (each flush).",
    (*_DATASET, "stage"),
    buckets=_STAGE_SECONDS,
    registry=REGISTRY,
)
BATCH_MESSAGES = Histogram(
    "sink_batch_messages", "Messages of a flushed batch.", _DATASET, buckets=_MESSAGES, registry=REGISTRY
)
BATCH_BYTES = Histogram(
    "sink_batch_bytes", "Bytes of the raw messages of a flushed batch.", _DATASET, buckets=_BYTES, registry=REGISTRY
)

# ---- how far it is

LAG_MESSAGES = Gauge(
    "sink_lag_messages",
    "Messages between the position in the database and the log's end, of partitions that are ours.",
    _PARTITION,
    registry=REGISTRY,
)
LAG_SECONDS = Gauge(
    "sink_lag_seconds",
    "Age of the record at the position, 0 when caught up; where that record has not been read yet, how long the"
    " position has stood still behind the log's end.",
    _PARTITION,
    registry=REGISTRY,
)
POSITION_OFFSET = Gauge(
    "sink_position_offset", "Our next offset, as the database has it.", _PARTITION, registry=REGISTRY
)
COMMITTED_OFFSET = Gauge(
    "sink_committed_offset",
    "The group's commit in Kafka, which follows the position; absent while Kafka has none.",
    _PARTITION,
    registry=REGISTRY,
)
LOG_END_OFFSET = Gauge(
    "sink_log_end_offset",
    "The offset behind the last readable message, as far as Kafka's client has heard.",
    _PARTITION,
    registry=REGISTRY,
)
FRESHNESS_SECONDS = Histogram(
    "sink_freshness_seconds",
    "Seconds from the newest event of each partition of a flush to the moment it was durable, by the database's clock.",
    _DATASET,
    buckets=_FRESHNESS_SECONDS,
    registry=REGISTRY,
)
NEWEST_EVENT = Gauge(
    "sink_newest_event_timestamp_seconds",
    "Time of the newest event that this process has made durable, in Unix seconds.",
    _DATASET,
    registry=REGISTRY,
)
LAST_FLUSH = Gauge(
    "sink_last_flush_timestamp_seconds",
    "When this process last made a batch durable, in Unix seconds.",
    _DATASET,
    registry=REGISTRY,
)
LAST_STEP = Gauge(
    "sink_last_step_timestamp_seconds",
    "When the loop last made progress, in Unix seconds; /livez judges by the same.",
    _DATASET,
    registry=REGISTRY,
)

# ---- what goes wrong, and whether anything does

RETRIES = Counter(
    "sink_retries",
    "Tasks that failed for a passing reason and are tried again, by PostgreSQL's SQLSTATE, 'none' where there is none.",
    (*_DATASET, "sqlstate"),
    registry=REGISTRY,
)
FENCES = Counter(
    "sink_fences",
    "Times that the database refused this process a partition because another owner had claimed it.",
    _DATASET,
    registry=REGISTRY,
)
REBALANCED = Counter(
    "sink_rebalances",
    "The group's decisions: partitions assigned, revoked, lost.",
    (*_DATASET, "event"),
    registry=REGISTRY,
)
PARTITIONS = Gauge(
    "sink_partitions",
    "Partitions of ours by what they are doing: waiting, claiming, reading, halted.",
    (*_DATASET, "state"),
    registry=REGISTRY,
)
HELD_BYTES = Gauge(
    "sink_held_bytes",
    "Bytes of raw messages that are held: being collected, waiting to be decoded, on their way to the database.",
    _DATASET,
    registry=REGISTRY,
)
PAUSED = Gauge("sink_paused", "1 while back-pressure holds Kafka back.", _DATASET, registry=REGISTRY)
BREAKER_SHARE = Gauge(
    "sink_breaker_share", "Share of bad messages within the breaker's window.", _DATASET, registry=REGISTRY
)
BREAKER_LIMIT = Gauge(
    "sink_breaker_limit", "Share of bad messages at which the breaker halts the dataset.", _DATASET, registry=REGISTRY
)
HALTED = Gauge(
    "sink_halted",
    "1 while the dataset, or one of its partitions here, waits for a person; /readyz says why.",
    _DATASET,
    registry=REGISTRY,
)
CONNECTED = Gauge(
    "sink_connected",
    "1 if the last exchange with the service worked, 0 if it failed; absent before the first one.",
    (*_DATASET, "service"),
    registry=REGISTRY,
)
REGISTRY_REQUESTS = Counter(
    "sink_registry_requests",
    "Requests to the schema registry by outcome: answered, refused (an unknown schema, a login), failed.",
    ("outcome",),
    registry=REGISTRY,
)
REGISTRY_SCHEMAS = Gauge(
    "sink_registry_cached_schemas",
    "Writer schemas that this process has from the registry and does not ask for again.",
    registry=REGISTRY,
)
BUILD = Info("sink_build", "What is running.", registry=REGISTRY)

# ---- housekeeping, each minute

TABLE_BYTES = Gauge("sink_table_bytes", "Size of the table, indexes included.", _DATASET, registry=REGISTRY)
TABLE_CHUNKS = Gauge("sink_table_chunks", "Chunks of the table.", _DATASET, registry=REGISTRY)
TABLE_OLDEST = Gauge(
    "sink_table_oldest_timestamp_seconds",
    "Where the table's oldest chunk begins, in Unix seconds.",
    _DATASET,
    registry=REGISTRY,
)
QUARANTINE_WAITING = Gauge(
    "sink_quarantine_waiting",
    "Messages in quarantine that nobody has replayed or dropped yet.",
    _DATASET,
    registry=REGISTRY,
)
RETENTION_RUNS = Counter(
    "sink_retention_runs",
    "Runs of the sink's own retention (Apache-2 edition): done, locked_elsewhere (another replica does it), failed.",
    (*_DATASET, "outcome"),
    registry=REGISTRY,
)
RETENTION_DROPPED = Counter(
    "sink_retention_dropped_chunks", "Chunks dropped by the sink's own retention.", _DATASET, registry=REGISTRY
)
RETENTION_LAST_RUN = Gauge(
    "sink_retention_last_run_timestamp_seconds",
    "When the sink's own retention last ran to its end here, in Unix seconds.",
    _DATASET,
    registry=REGISTRY,
)
