"""The dashboard of the database as the sink sees it: flushes, refusals, sizes, retention."""

from __future__ import annotations

from deploy.grafana.panels import Panel, Query, Row
from deploy.grafana.shared import AWAY_OR_NOT, FLUSHES, OUTCOMES, RETRIES, WAITING, mean, of, one, rate

ROWS = [
    Row(
        title="Flushes",
        panels=[
            FLUSHES,
            Panel(
                title="Write and commit",
                about="Mean time of a flush in COPY or upsert, and in COMMIT: slow commits are the WAL's disk.",
                queries=[
                    Query(
                        expr=mean("sink_stage_seconds", f'stage="{stage}"'),
                        legend=f"{{{{dataset}}}} {stage}",
                    )
                    for stage in ("write", "commit")
                ],
                unit="s",
            ),
            OUTCOMES,
            RETRIES,
            Panel(
                title="Connected",
                about="Whether the last exchange of each replica worked. docs/runbook/SinkDatabaseAway.md",
                queries=one(f"""min by (instance) ({of("sink_connected", 'service="database"')})""", "{{instance}}"),
                words=AWAY_OR_NOT,
            ),
            Panel(
                title="Time waiting for the writer",
                about="Seconds a second in which a full or due batch waited for the flush before it.",
                queries=one(rate("sink_stage_seconds_sum", 'stage="wait"', by="dataset")),
                unit="s",
            ),
        ],
    ),
    Row(
        title="Tables",
        panels=[
            Panel(
                title="Size",
                about="Of each table with its indexes.",
                queries=one(f"max by (dataset) ({of('sink_table_bytes')})"),
                unit="bytes",
            ),
            Panel(
                title="Chunks",
                about="Of each hypertable.",
                queries=one(f"max by (dataset) ({of('sink_table_chunks')})"),
                unit="none",
            ),
            Panel(
                title="Oldest chunk",
                about="How far back each table reaches.",
                queries=one(f"time() - max by (dataset) ({of('sink_table_oldest_timestamp_seconds')} > 0)"),
                unit="s",
            ),
            Panel(
                title="Retention",
                about="Turns of the sink's own retention in a day (Apache-2 edition; the other one has policies).",
                queries=one(
                    f"sum by (dataset, outcome) (increase({of('sink_retention_runs_total')}[1d]))",
                    "{{dataset}} {{outcome}}",
                ),
                unit="none",
            ),
            Panel(
                title="Chunks dropped in a day",
                about="By the sink's own retention.",
                queries=one(f"sum by (dataset) (increase({of('sink_retention_dropped_chunks_total')}[1d]))"),
                unit="none",
            ),
            Panel(
                title="Last run of retention",
                about="How long ago; SinkRetentionNotRunning speaks after four hours. Since 1970: not by the sink.",
                queries=one(f"time() - max by (dataset) ({of('sink_retention_last_run_timestamp_seconds')})"),
                unit="s",
            ),
            WAITING,
        ],
    ),
]
