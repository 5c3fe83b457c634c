"""What several dashboards show: the panels, and the PromQL that they are made of."""

from __future__ import annotations

from deploy.grafana.panels import Panel, Query

_WHICH = 'job=~"$job", dataset=~"$dataset"'
RATE = "$__rate_interval"
AWAY_OR_NOT = ((0, "away"), (1, "connected"))


def of(metric: str, *further: str) -> str:
    """Narrow a metric to what the variables of a dashboard choose, and further."""
    return f"{metric}{{{', '.join((_WHICH, *further))}}}"


def rate(metric: str, *further: str, by: str) -> str:
    """Sum the rate of a counter by some labels."""
    return f"sum by ({by}) (rate({of(metric, *further)}[{RATE}]))"


def mean(metric: str, *further: str) -> str:
    """Give the mean of a histogram by dataset."""
    return f"{rate(f'{metric}_sum', *further, by='dataset')} / {rate(f'{metric}_count', *further, by='dataset')}"


def quantile(share: float, metric: str, *, by: str = "dataset") -> str:
    """Give a quantile of a histogram."""
    return f"histogram_quantile({share:g}, {rate(f'{metric}_bucket', by=f'{by}, le')})"


def percentiles(metric: str) -> list[Query]:
    """Give the usual three percentiles of a histogram by dataset."""
    return [
        Query(expr=quantile(share, metric), legend=f"{{{{dataset}}}} p{share * 100:g}") for share in (0.5, 0.9, 0.99)
    ]


def one(expr: str, legend: str = "{{dataset}}") -> list[Query]:
    """Make a single query."""
    return [Query(expr=expr, legend=legend)]


_REPLICA_OF_SINK = 'and on (job, instance) sink_build_info{job=~"$job"}'

RATE_PANEL = Panel(
    title="Messages made durable",
    about="Messages a second that a committed flush has accounted for.",
    queries=one(rate("sink_messages_total", by="dataset")),
    unit="cps",
)
FRESHNESS = Panel(
    title="Freshness",
    about="From the event to the moment at which its row was durable, by the database's clock: the newest event of each"
    " partition of each flush.",
    queries=percentiles("sink_freshness_seconds"),
    unit="s",
)
LAG = Panel(
    title="Lag",
    about="Messages in Kafka that are not durable yet.",
    queries=one(f"sum by (dataset) ({of('sink_lag_messages')})"),
)
LAG_SECONDS = Panel(
    title="Lag in time",
    about="Age of the oldest message that is not durable yet; 0 when caught up. SinkLate pages above five minutes.",
    queries=one(f"max by (dataset) ({of('sink_lag_seconds')})"),
    unit="s",
)
OUTCOMES = Panel(
    title="Rows by outcome",
    about="Written; not newer than the row that stood there (a replay, a late version); deduplicated within a batch.",
    queries=one(rate("sink_rows_total", by="dataset, outcome"), "{{dataset}} {{outcome}}"),
    unit="cps",
    stacked=True,
)
QUARANTINE = Panel(
    title="Quarantined by reason",
    about="Messages an hour that could not become rows and are kept whole. docs/runbook/SinkQuarantine.md",
    queries=one(
        f"sum by (dataset, reason) (increase({of('sink_quarantined_messages_total')}[1h]))", "{{dataset}} {{reason}}"
    ),
    unit="none",
)
WAITING = Panel(
    title="Waiting in quarantine",
    about="Messages that nobody has replayed or dropped yet.",
    queries=one(f"max by (dataset) ({of('sink_quarantine_waiting')})"),
    unit="none",
)
STAGES = Panel(
    title="Where the second goes",
    about="Seconds a second that each stage takes, over all replicas. Poll is mostly waiting for messages; write and"
    " commit run beside the others.",
    queries=one(rate("sink_stage_seconds_sum", by="stage"), "{{stage}}"),
    unit="s",
    stacked=True,
)
FLUSHES = Panel(
    title="Flushes",
    about="How long a flush takes on its way to the database, COMMIT included.",
    queries=percentiles("sink_flush_seconds"),
    unit="s",
)
RETRIES = Panel(
    title="Retries by SQLSTATE",
    about="Tasks that the database or another service refused and that are tried again. docs/runbook/SinkRetrying.md",
    queries=one(rate("sink_retries_total", by="dataset, sqlstate"), "{{dataset}} {{sqlstate}}"),
    unit="cps",
)
REBALANCES = Panel(
    title="Rebalances",
    about="Partitions given, taken and lost, in ten minutes. A rolling restart shows some.",
    queries=one(f"sum by (dataset, event) (increase({of('sink_rebalances_total')}[10m]))", "{{dataset}} {{event}}"),
    unit="none",
)
FENCES = Panel(
    title="Fences",
    about="Flushes in ten minutes that found their partition claimed by another process, and wrote nothing.",
    queries=one(f"sum by (dataset) (increase({of('sink_fences_total')}[10m]))"),
    unit="none",
)
MEMORY = Panel(
    title="Memory",
    about="Resident memory of each replica. docs/memory.md says what bounds it.",
    queries=one(f'process_resident_memory_bytes{{job=~"$job"}} {_REPLICA_OF_SINK}', "{{instance}}"),
    unit="bytes",
)
CPU = Panel(
    title="CPU",
    about="Cores that each replica uses.",
    queries=one(f'rate(process_cpu_seconds_total{{job=~"$job"}}[{RATE}]) {_REPLICA_OF_SINK}', "{{instance}}"),
    unit="none",
)
