"""Writes the dashboards: ``python -m deploy.grafana.build``; a test holds the committed files equal to this."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana import database, dataset, overview
from deploy.grafana.panels import Json, dashboard

DIRECTORY = Path(__file__).parent / "dashboards"


def build() -> dict[str, Json]:
    """Make all dashboards, by the names of their files."""
    return {
        "overview": dashboard(
            uid="sink-overview",
            title="Sink: overview",
            about="Is data late, lost or wrong, over all datasets?",
            rows=overview.ROWS,
            one_dataset=False,
        ),
        "dataset": dashboard(
            uid="sink-dataset",
            title="Sink: one dataset",
            about="Where one dataset stands, partition by partition, and where its time goes.",
            rows=dataset.ROWS,
            one_dataset=True,
        ),
        "database": dashboard(
            uid="sink-database",
            title="Sink: database",
            about="What the sink sees of the database: flushes, refusals, sizes, retention.",
            rows=database.ROWS,
            one_dataset=False,
        ),
    }


def main() -> None:
    """Write the files."""
    for name, made in build().items():
        (DIRECTORY / f"{name}.json").write_text(text_of(made), encoding="utf-8")


def text_of(made: Json) -> str:
    """Give a dashboard as its file has it."""
    return json.dumps(made, indent=2) + "\n"


if __name__ == "__main__":
    main()
