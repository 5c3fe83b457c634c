"""The dashboard of one dataset: partition by partition, and where its time goes."""

from __future__ import annotations

from deploy.grafana.panels import Panel, Query, Row
from deploy.grafana.shared import (
    CPU,
    FENCES,
    FLUSHES,
    FRESHNESS,
    MEMORY,
    OUTCOMES,
    QUARANTINE,
    RATE,
    RATE_PANEL,
    REBALANCES,
    RETRIES,
    STAGES,
    of,
    one,
    quantile,
)

_PARTITION = "{{partition}}"

ROWS = [
    Row(
        title="Data",
        panels=[
            RATE_PANEL,
            FRESHNESS,
            OUTCOMES,
            QUARANTINE,
            Panel(
                title="Breaker",
                about="Share of bad messages in the window, and the share at which the dataset halts.",
                queries=[
                    Query(expr=f"max by (dataset) ({of('sink_breaker_share')})", legend="bad"),
                    Query(expr=f"max by (dataset) ({of('sink_breaker_limit')})", legend="limit"),
                ],
                unit="percentunit",
            ),
            Panel(
                title="Odd ones an hour",
                about="Tombstones and the like; rows older than retention; values of fields without a column.",
                queries=[
                    Query(expr=f"sum(increase({of(metric)}[1h]))", legend=legend)
                    for metric, legend in (
                        ("sink_ignored_messages_total", "ignored"),
                        ("sink_late_rows_total", "late rows"),
                        ("sink_unknown_field_values_total", "unknown fields"),
                    )
                ],
                unit="none",
            ),
        ],
    ),
    Row(
        title="Partitions",
        panels=[
            Panel(
                title="Lag by partition",
                about="Messages in Kafka that are not durable yet.",
                queries=one(f"max by (partition) ({of('sink_lag_messages')})", _PARTITION),
            ),
            Panel(
                title="Lag in time by partition",
                about="Age of the oldest message that is not durable yet.",
                queries=one(f"max by (partition) ({of('sink_lag_seconds')})", _PARTITION),
                unit="s",
            ),
            Panel(
                title="Position ahead of Kafka's commit",
                about="The position in the database decides; the commit follows it. One that stays behind misleads lag"
                " tools and autoscalers.",
                queries=one(
                    f"max by (partition) ({of('sink_position_offset')})"
                    f" - max by (partition) ({of('sink_committed_offset')})",
                    _PARTITION,
                ),
            ),
            Panel(
                title="Log end",
                about="Offsets a second that the topic grows by.",
                queries=one(f"max by (partition) (deriv({of('sink_log_end_offset')}[{RATE}]))", _PARTITION),
                unit="cps",
            ),
            Panel(
                title="Partitions by state",
                about="Of all replicas together; it should be the number of the topic's partitions.",
                queries=one(f"sum by (state) ({of('sink_partitions')})", "{{state}}"),
                unit="none",
                stacked=True,
            ),
            REBALANCES,
        ],
    ),
    Row(
        title="Where the time goes",
        panels=[
            STAGES,
            FLUSHES,
            Panel(
                title="Time of each stage",
                about="The 95th percentile: poll and decode of each poll, prepare and wait of each batch, write and"
                " commit of each flush.",
                queries=one(quantile(0.95, "sink_stage_seconds", by="stage"), "{{stage}}"),
                unit="s",
            ),
            Panel(
                title="Messages of a batch",
                about="Median and 95th percentile.",
                queries=[
                    Query(expr=quantile(0.5, "sink_batch_messages"), legend="p50"),
                    Query(expr=quantile(0.95, "sink_batch_messages"), legend="p95"),
                ],
            ),
            Panel(
                title="Size of a batch",
                about="Bytes of raw messages; median and 95th percentile.",
                queries=[
                    Query(expr=quantile(0.5, "sink_batch_bytes"), legend="p50"),
                    Query(expr=quantile(0.95, "sink_batch_bytes"), legend="p95"),
                ],
                unit="bytes",
            ),
            Panel(
                title="Held, and back-pressure",
                about="Bytes of raw messages held by each replica. What is paused fetches nothing more.",
                queries=one(f"sum by (instance) ({of('sink_held_bytes')})", "{{instance}}"),
                unit="bytes",
            ),
            Panel(
                title="Share of time paused",
                about="By back-pressure: near 1, the database is the bottleneck.",
                queries=one(f"max by (instance) (avg_over_time({of('sink_paused')}[{RATE}]))", "{{instance}}"),
                unit="percentunit",
            ),
            RETRIES,
            FENCES,
        ],
    ),
    Row(
        title="Process",
        panels=[
            MEMORY,
            CPU,
            Panel(
                title="Last step of the loop",
                about="How long ago each replica's loop made progress; SinkLoopStuck pages above a minute.",
                queries=one(
                    f"time() - max by (instance) ({of('sink_last_step_timestamp_seconds')} > 0)", "{{instance}}"
                ),
                unit="s",
            ),
            Panel(
                title="Last flush",
                about="How long ago each replica last made something durable.",
                queries=one(
                    f"time() - max by (instance) ({of('sink_last_flush_timestamp_seconds')} > 0)", "{{instance}}"
                ),
                unit="s",
            ),
            Panel(
                title="Requests to the registry",
                about="An hour, by outcome. Schemas are asked for once.",
                queries=one(
                    'sum by (outcome) (increase(sink_registry_requests_total{job=~"$job"}[1h]))', "{{outcome}}"
                ),
                unit="none",
            ),
            Panel(
                title="Schemas known",
                about="Writer schemas that each replica has from the registry.",
                queries=one('max by (instance) (sink_registry_cached_schemas{job=~"$job"})', "{{instance}}"),
                unit="none",
            ),
        ],
    ),
]
