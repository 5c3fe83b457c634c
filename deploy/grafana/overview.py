"""The dashboard over all datasets, which asks: is data late, lost or wrong."""

from __future__ import annotations

from deploy.grafana.panels import Panel, Row
from deploy.grafana.shared import (
    AWAY_OR_NOT,
    CPU,
    FENCES,
    FLUSHES,
    FRESHNESS,
    LAG,
    LAG_SECONDS,
    MEMORY,
    OUTCOMES,
    QUARANTINE,
    RATE_PANEL,
    REBALANCES,
    RETRIES,
    STAGES,
    WAITING,
    of,
    one,
)

ROWS = [
    Row(
        title="Now",
        height=4,
        across=6,
        panels=[
            Panel(
                title="Alerts firing",
                about="Alerts of the sink that fire now; each has a page in docs/runbook.",
                queries=one('count(ALERTS{alertname=~"Sink.*", alertstate="firing"}) or vector(0)', "firing"),
                kind="stat",
                limits=[(1, "red")],
            ),
            Panel(
                title="Replicas",
                about="Processes by version.",
                queries=one('count by (version) (sink_build_info{job=~"$job"})', "{{version}}"),
                kind="stat",
            ),
            Panel(
                title="Halted",
                about="Datasets or partitions that wait for a person. docs/runbook/SinkHalted.md",
                queries=one(f"max by (dataset) ({of('sink_halted')})"),
                kind="stat",
                limits=[(1, "red")],
                words=[(0, "no"), (1, "HALTED")],
            ),
            Panel(
                title="Services",
                about="Whether the last exchange of every replica with each service worked.",
                queries=one(f"min by (service) ({of('sink_connected')})", "{{service}}"),
                kind="stat",
                limits=[(0, "red"), (1, "green")],
                words=AWAY_OR_NOT,
            ),
            Panel(
                title="Oldest waiting message",
                about="Over all datasets and partitions.",
                queries=one(f"max by (dataset) ({of('sink_lag_seconds')})"),
                kind="stat",
                unit="s",
                limits=[(60, "orange"), (300, "red")],
            ),
            Panel(
                title="Newest event",
                about="How long ago the newest event happened that is durable.",
                queries=one(f"time() - max by (dataset) ({of('sink_newest_event_timestamp_seconds')} > 0)"),
                kind="stat",
                unit="s",
            ),
        ],
    ),
    Row(title="Is data late?", panels=[RATE_PANEL, FRESHNESS, LAG, LAG_SECONDS, FLUSHES, STAGES]),
    Row(title="Is data lost or wrong?", panels=[OUTCOMES, QUARANTINE, WAITING]),
    Row(title="Replicas", panels=[REBALANCES, FENCES, RETRIES, MEMORY, CPU]),
]
